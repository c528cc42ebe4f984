"""A job submitted to a real head with token authentication on, as a user submits it."""

import contextlib
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from pinrank import tables
from tests.labeling.rows import pin_texts, sampled

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RAY = str(Path(sys.executable).parent / "ray")
START_TIMEOUT_S = 90
JOB_TIMEOUT_S = 240


@dataclass(frozen=True)
class Head:
    """A running head: where its Jobs API listens, and the environment that knows its token."""

    address: str
    environment: dict[str, str]
    token: str


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A head of two CPUs on loopback, with a token of its own; ended by its process ids."""
    folder = Path(tempfile.mkdtemp(prefix="pinrank-head-", dir="/tmp"))  # Ray's sockets need a short path
    token = secrets.token_hex(32)
    (folder / "token").write_text(token)
    port, dashboard_port, agent_port, client_port = free_ports(4)
    environment = environment_with(folder / "token")
    command = [
        *(RAY, "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2"),
        *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard_port}"),
        *(f"--dashboard-agent-listen-port={agent_port}", f"--ray-client-server-port={client_port}"),
        *(f"--temp-dir={folder / 'ray'}", f"--object-store-memory={200 * 2**20}", "--disable-usage-stats"),
    ]
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{dashboard_port}"
            wait_until_up(process, address, token, folder / "head.log")
            yield Head(address, environment, token)
        finally:
            end(process)
    shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def environment_with(token: Path) -> dict[str, str]:
    """This environment with token authentication on and the virtual environment's programs first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_") and name != "PYTHONPATH"}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return kept | {"PATH": path, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}


def wait_until_up(process: subprocess.Popen[bytes], address: str, token: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
        except httpx.TransportError:
            time.sleep(0.3)
            continue
        if answer.status_code == 200:
            return
        time.sleep(0.3)
    raise AssertionError(f"the head did not come up:\n{log.read_text()}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the head and all it started, and nothing else: other heads may run on this machine."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait(timeout=15)


def submit(head: Head, root: Path, *entrypoint: str) -> subprocess.CompletedProcess[str]:
    command = [RAY, "job", "submit", "--address", head.address, "--working-dir", ".", "--runtime-env"]
    command += ["runtime_env.yaml", "--", *entrypoint]
    return subprocess.run(
        command, cwd=root, env=head.environment, capture_output=True, text=True, timeout=JOB_TIMEOUT_S, check=False
    )


def test_without_the_token_the_jobs_api_answers_401(head: Head) -> None:
    assert httpx.get(f"{head.address}/api/jobs/").status_code == 401
    assert httpx.get(f"{head.address}/api/jobs/", headers={"Authorization": "Bearer wrong"}).status_code in (401, 403)
    assert httpx.get(f"{head.address}/api/jobs/", headers={"Authorization": f"Bearer {head.token}"}).status_code == 200


def test_a_submitted_job_grades_pairs(head: Head, root: Path, tiny_teacher_dir: Path, tmp_path: Path) -> None:
    pins = {f"p{number}": f"pin number {number}" for number in range(30)}
    pairs = [(f"query {number}", pin_id) for number in range(10) for pin_id in pins]
    tables.write(sampled(*pairs), str(tmp_path / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**pins), str(tmp_path / "pin_text"), tables.PIN_TEXT)
    done = submit(
        head,
        root,
        *("python", "-m", "pipelines.label_impressions", "--teacher", str(tiny_teacher_dir)),
        *(
            "--tables",
            str(tmp_path),
            "--output",
            f"{tmp_path}/soft_labels",
            "--engine.name",
            "transformers",
            "--rows_per_shard",
            "64",
        ),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"rows_out": 300' in done.stdout
    labels = tables.read(str(tmp_path / "soft_labels"), tables.SOFT_LABELS)
    assert labels.num_rows == 300


def test_pinrank_submits_a_job_that_says_what_it_is_and_ends_as_it_does(head: Head, root: Path) -> None:
    settings = ("--config", "pipelines/configs/demo/build_pin_text.yaml", "--tables", "/nowhere")
    failed = pinrank(head, root, "submit", "build_pin_text", "--address", head.address, *settings)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "TableError: /nowhere/pins" in failed.stdout
    job = failed.stdout.split()[0]
    one = pinrank(head, root, "status", job, "--address", head.address).stdout
    assert "failed" in one and "build_pin_text" in one and "/nowhere/pins" in one
    every = pinrank(head, root, "status", "--address", head.address).stdout
    assert job in every and "build_pin_text" in every
    unknown = pinrank(head, root, "status", "raysubmit_0", "--address", head.address)
    assert unknown.returncode == 2 and "knows no such job" in unknown.stderr


def pinrank(head: Head, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pinrank.cli.app", *arguments]
    environment = head.environment | {"PYTHONPATH": str(root / "platform")}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=JOB_TIMEOUT_S, check=False
    )


def test_the_standard_module_platform_is_found_in_a_job(head: Head, root: Path) -> None:
    ask = "import platform, pinrank; print('system:', platform.system(), pinrank.__file__)"
    done = submit(head, root, "python", "-c", ask)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.split() for line in done.stdout.splitlines() if line.startswith("system:")]
    assert [words[1] for words in said] == [platform.system()]
