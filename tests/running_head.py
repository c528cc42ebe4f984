"""A real Ray head of its own on loopback, with token authentication on, as `ray start` makes one."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

RAY = str(Path(sys.executable).parent / "ray")
START_TIMEOUT_S = 90
JOB_TIMEOUT_S = 240


@dataclass(frozen=True)
class Head:
    """A running head: where its GCS and its Jobs API listen, the environment that knows its token, Ray's own folder."""

    gcs: str
    address: str
    environment: dict[str, str]
    token: str
    folder: Path

    @property
    def logs(self) -> Path:
        """Where Ray writes."""
        return self.folder / "session_latest/logs"

    def nodes(self, state: str = "ALIVE") -> list[dict[str, Any]]:
        """The nodes that are alive, or DEAD, as the dashboard tells of them."""
        answer = httpx.get(
            f"{self.address}/api/v0/nodes", headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]["result"]
        return [node for node in found if node["state"] == state]

    def autoscaler_log(self) -> str:
        """The end of what the autoscaler wrote."""
        log = self.logs / "monitor.log"
        return log.read_text()[-5_000:] if log.exists() else "no log"


@contextmanager
def running_head(
    num_cpus: int = 2,
    autoscaling: Callable[[str], dict[str, Any]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Head]:
    """Start a head; ended by its process ids, with all that it started.

    autoscaling: from the address of the head's GCS, the launcher file that its autoscaler follows.
    """
    folder = Path(tempfile.mkdtemp(prefix="pinrank-head-", dir="/tmp"))  # Ray's sockets need a short path
    token = secrets.token_hex(32)
    (folder / "token").write_text(token)
    port, dashboard_port, agent_port, client_port = free_ports(4)
    known = environment_with(folder / "token") | dict(environment or {})
    command = [
        *(RAY, "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", f"--num-cpus={num_cpus}"),
        *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard_port}"),
        *(f"--dashboard-agent-listen-port={agent_port}", f"--ray-client-server-port={client_port}"),
        *(f"--temp-dir={folder / 'ray'}", f"--object-store-memory={200 * 2**20}", "--disable-usage-stats"),
    ]
    if autoscaling is not None:
        (folder / "cluster.json").write_text(json.dumps(autoscaling(f"{own_address()}:{port}")))
        command.append(f"--autoscaling-config={folder / 'cluster.json'}")
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(command, env=known, stdout=log, stderr=log, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{dashboard_port}"
            wait_until_up(process, address, token, folder / "head.log")
            yield Head(f"127.0.0.1:{port}", address, known, token, folder / "ray")
        finally:
            end(process)
    shutil.rmtree(folder, ignore_errors=True)


def own_address() -> str:
    """The address under which Ray knows this machine."""
    import ray

    return str(ray.util.get_node_ip_address())


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
    """`ray job submit` from the repository's root, as the docs say it."""
    command = [RAY, "job", "submit", "--address", head.address, "--working-dir", ".", "--runtime-env"]
    command += ["runtime_env.yaml", "--", *entrypoint]
    return subprocess.run(
        command, cwd=root, env=head.environment, capture_output=True, text=True, timeout=JOB_TIMEOUT_S, check=False
    )
