"""A job submitted to a real head with token authentication on, as a user submits it."""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pinrank import tables
from tests.labeling.rows import pin_texts, sampled
from tests.running_head import JOB_TIMEOUT_S, Head, running_head, submit

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SECRET_QUERY = "zwetschgendatschi am sonntag"
"""What no log may hold."""

ASK = """
import importlib, pathlib, platform
names = [path.stem for path in pathlib.Path("pipelines/configs/full").glob("*.yaml")]
for name in names:
    importlib.import_module(f"pipelines.{name}")
print("system:", platform.system(), "pipelines:", *sorted(names))
"""


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A head of two CPUs."""
    with running_head() as head:
        yield head


def test_without_the_token_the_jobs_api_answers_401(head: Head) -> None:
    assert httpx.get(f"{head.address}/api/jobs/").status_code == 401
    assert httpx.get(f"{head.address}/api/jobs/", headers={"Authorization": "Bearer wrong"}).status_code in (401, 403)
    assert httpx.get(f"{head.address}/api/jobs/", headers={"Authorization": f"Bearer {head.token}"}).status_code == 200


def test_a_submitted_job_grades_pairs(head: Head, root: Path, tiny_teacher_dir: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path, num_pins=30)
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
    assert SECRET_QUERY in labels.column("query").to_pylist()[0]


def test_no_log_holds_a_query_or_the_token(head: Head, root: Path) -> None:
    logs = [path for path in head.logs.rglob("*") if path.is_file()]
    assert any("soft_labels" in path.read_text(errors="replace") for path in logs), "no log of the job before"
    for secret in (SECRET_QUERY, head.token):
        assert [path.name for path in logs if secret in path.read_text(errors="replace")] == []


def test_a_job_that_is_stopped_leaves_nothing_half_done_and_goes_on_where_it_was(
    head: Head, root: Path, tiny_teacher_dir: Path, tmp_path: Path
) -> None:
    write_pairs(tmp_path, num_pins=200)
    output = tmp_path / "soft_labels"
    arguments = (
        *("--teacher", str(tiny_teacher_dir), "--tables", str(tmp_path), "--output", str(output)),
        *("--engine.name", "transformers", "--rows_per_shard", "16"),
    )
    job = pinrank(head, root, "submit", "label_impressions", "--no-wait", "--address", head.address, *arguments).stdout
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while len(list(output.glob("shard-*.parquet"))) < 3:
        assert time.monotonic() < deadline, pinrank(head, root, "status", job.strip(), "--address", head.address).stdout
        time.sleep(0.05)
    stop_job(head, job.strip())
    told = pinrank(head, root, "status", job.strip(), "--address", head.address).stdout
    assert "stopped" in told and str(output) in told
    done = len(list(output.glob("shard-*.parquet")))
    assert 3 <= done < 125
    shown = {path.name for path in output.iterdir() if not path.name.startswith((".", "shard-"))}
    assert shown <= {"quarantine"}  # what an actor was writing as it was ended is hidden, and goes when the job goes on

    resumed = pinrank(head, root, "submit", "label_impressions", "--address", head.address, *arguments)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    summary = json.loads(next(line for line in resumed.stdout.splitlines() if line.startswith('{"name"')))
    assert summary["rows_out"] == 2000 and summary["details"]["resumed_shards"] >= done
    assert not [*output.glob(".shard-*"), *output.glob(".tries-*")]


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


def stop_job(head: Head, job: str) -> None:
    """What `ray job stop` does, without the seconds that it takes to start."""
    known = {"Authorization": f"Bearer {head.token}"}
    assert httpx.post(f"{head.address}/api/jobs/{job}/stop", headers=known).json() == {"stopped": True}
    deadline = time.monotonic() + 30
    while (status := httpx.get(f"{head.address}/api/jobs/{job}", headers=known).json()["status"]) != "STOPPED":
        assert status == "RUNNING" and time.monotonic() < deadline, status
        time.sleep(0.1)


def write_pairs(folder: Path, num_pins: int) -> None:
    """Ten queries with each of the pins, as sampled_pairs and pin_text."""
    pins = {f"p{number}": f"pin number {number}" for number in range(num_pins)}
    pairs = [(f"{SECRET_QUERY} {number}", pin_id) for number in range(10) for pin_id in pins]
    tables.write(sampled(*pairs), str(folder / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**pins), str(folder / "pin_text"), tables.PIN_TEXT)


def pinrank(head: Head, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pinrank", *arguments]
    environment = head.environment | {"PYTHONPATH": str(root / "platform")}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=JOB_TIMEOUT_S, check=False
    )


def test_a_job_finds_every_pipeline_with_its_settings_and_the_standard_module_platform(head: Head, root: Path) -> None:
    done = submit(head, root, "python", "-c", ASK)
    assert done.returncode == 0, done.stdout + done.stderr
    (said,) = [line.split() for line in done.stdout.splitlines() if line.startswith("system:")]
    names = {path.stem for path in (root / "pipelines").glob("*.py")} - {"__init__", "demo"}
    assert (said[1], set(said[3:])) == (platform.system(), names)
