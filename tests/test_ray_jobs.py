"""A job submitted to a real head with token authentication on, as a user submits it."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pinrank import tables
from tests.labeling.rows import pin_texts, sampled
from tests.ray_head import RAY, Head, started_head

pytestmark = [pytest.mark.ray, pytest.mark.slow]

JOB_TIMEOUT_S = 240


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with started_head() as head:
        yield head


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
    command = [sys.executable, "-m", "pinrank", *arguments]
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
