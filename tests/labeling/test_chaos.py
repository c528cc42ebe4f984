"""kill -9 of workers, drivers and whole jobs, at every change of the file system and at random moments.

0 pairs lost, 0 twice, 0 temporary files left, and every byte as if nothing had happened. A few kills in every run of
the tests; PINRANK_KILLS=50 makes fifty at random moments, and one before each change of a file.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
import ray

from pinrank import tables
from pinrank.errors import CommitError
from pinrank.labeling.job import Opening
from pipelines.label_impressions import LabelImpressions, main
from tests.conftest import ROOT
from tests.killed_job import contents, without_cluster
from tests.labeling import engines
from tests.labeling.rows import pin_texts, sampled

pytestmark = pytest.mark.chaos

FEW_KILLS = 1
KILLS = int(os.environ.get("PINRANK_KILLS", FEW_KILLS))
PINS = {f"p{number}": f"title {number}" for number in range(10)}
PAIRS = [(f"query {query}", pin) for query in range(40) for pin in PINS]
TINY_FILES = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_teacher_dir: Path) -> Path:
    """400 pairs in 20 files, and a teacher of which only the card is read."""
    folder = tmp_path_factory.mktemp("chaos")
    rows = sampled(*PAIRS)
    (folder / "tables" / "sampled_pairs").mkdir(parents=True)
    for number in range(TINY_FILES):
        part = rows.slice(number * 20, 20)
        pq.write_table(part, folder / "tables" / "sampled_pairs" / f"part-{number:05d}.parquet")
    tables.write(pin_texts(**PINS), str(folder / "tables" / "pin_text"), tables.PIN_TEXT)
    (folder / "teacher").symlink_to(tiny_teacher_dir)
    return folder


def settings_of(folder: Path, name: str, **changed: object) -> LabelImpressions:
    given: dict[str, object] = {
        "tables": str(folder / "tables"),
        "teacher": folder / "teacher",
        "output": folder / name,
        "parity": {"pairs": 0},
        "rows_per_shard": 10,
        "cluster": {"num_cpus": 2, "dashboard": False},
    }
    return LabelImpressions(**given | changed)


@pytest.fixture(scope="module")
def whole(ray_session: None, folder: Path) -> dict[str, bytes]:
    """What an uninterrupted job leaves."""
    assert main(settings_of(folder, "whole"), engines.HASHING).rows_out == 400
    return contents(folder / "whole")


def run_here(settings: LabelImpressions, opening: Opening, disturb: Callable[[], None]) -> int:
    """Run a job in this process while `disturb` runs beside it; returns its rows."""
    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        return main(settings, opening).rows_out
    finally:
        disturber.join()


def shards_in(output: Path) -> int:
    return len(list(output.glob("shard-*.parquet")))


def wait_for(happened: Callable[[], bool], timeout_s: float = 240) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers_of(job: str) -> list[psutil.Process]:
    """The processes of this session that run an actor of a Ray Data stage with such a name."""
    found = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if job in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def start_driver(settings: LabelImpressions, address: str | None) -> subprocess.Popen:
    """A job as a process of its own, in a session of its own or in this one."""
    script = (
        "import sys\n"
        "from pipelines.label_impressions import LabelImpressions, main\n"
        "from tests.labeling import engines\n"
        "main(LabelImpressions.model_validate_json(sys.argv[1]), engines.SLOW)"
    )
    environment = without_cluster() | {"PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}", "RAY_AUTH_MODE": "disabled"}
    return subprocess.Popen(
        [sys.executable, "-c", script, settings.model_dump_json()],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        env=environment | ({"RAY_ADDRESS": address} if address else {}),
    )


def kill_if_there(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def kill_family(job: subprocess.Popen) -> None:
    family = psutil.Process(job.pid).children(recursive=True)
    os.killpg(job.pid, signal.SIGKILL)
    for process in family:
        kill_if_there(process)
    job.wait()
    psutil.wait_procs(family, timeout=10)


def test_a_kill_before_any_change_of_a_file_changes_nothing(tmp_path: Path, tiny_teacher_dir: Path) -> None:
    pins = {f"p{number}": f"title {number}" for number in range(6)}
    pairs = [(f"q {query}", pin) for query in range(4) for pin in pins]
    bad = [(engines.POISON, "p0"), ("q 0", "gone")]
    tables.write(sampled(*pairs, *bad), str(tmp_path / "tables" / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**pins), str(tmp_path / "tables" / "pin_text"), tables.PIN_TEXT)
    (tmp_path / "teacher").symlink_to(tiny_teacher_dir)
    command = [sys.executable, "-m", "tests.labeling.killed_at", str(tmp_path), "1" if KILLS > FEW_KILLS else "3"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}"}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == {}
    assert found["points"] > 50


@pytest.mark.ray
def test_killed_workers_are_replaced_and_change_no_byte(folder: Path, whole: dict[str, bytes]) -> None:
    settings = settings_of(folder, "killed_workers")

    def disturb() -> None:
        for shards in (2, 12):
            wait_for(lambda least=shards: shards_in(settings.output) >= least)  # type: ignore[misc]
            for process in workers_of("Grader"):
                process.kill()

    assert run_here(settings, engines.SLOW, disturb) == 400
    assert contents(settings.output) == whole


@pytest.mark.ray
def test_a_killed_driver_leaves_a_job_that_goes_on(folder: Path, whole: dict[str, bytes]) -> None:
    settings = settings_of(folder, "killed_driver")
    driver = start_driver(settings, ray.get_runtime_context().gcs_address)
    wait_for(lambda: shards_in(settings.output) >= 3)
    driver.kill()
    driver.wait()
    summary = main(settings, engines.HASHING)
    assert 3 <= summary.details["resumed_shards"] < 40
    assert contents(settings.output) == whole


@pytest.mark.ray
@pytest.mark.timeout(120 * max(KILLS, 1))
def test_kills_at_random_moments(folder: Path, whole: dict[str, bytes]) -> None:
    moments = random.Random(0)
    for number in range(KILLS):
        settings = settings_of(folder, f"random_{number}")
        address = ray.get_runtime_context().gcs_address if number % 3 == 0 else None
        job = start_driver(settings, address)
        wait_for(lambda output=settings.output: shards_in(output) >= 1)  # type: ignore[misc]
        time.sleep(moments.uniform(0, 2.5))
        if number % 3 == 1 and job.poll() is None:  # one worker, and then all the rest
            family = psutil.Process(job.pid).children(recursive=True)
            kill_if_there(moments.choice(family))
            time.sleep(moments.uniform(0, 2.5))
        if job.poll() is None:
            kill_family(job)
        main(settings, engines.HASHING)
        assert contents(settings.output) == whole, f"kill {number}"


@pytest.mark.ray
def test_a_pair_that_ends_the_engines_process_is_set_aside(ray_session: None, folder: Path, tmp_path: Path) -> None:
    poisoned = [*PAIRS[:8], (engines.POISON, "p0")]
    tables.write(sampled(*poisoned), str(tmp_path / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**PINS), str(tmp_path / "pin_text"), tables.PIN_TEXT)
    settings = settings_of(
        folder, "dying", tables=str(tmp_path), rows_per_shard=2, max_quarantined_share=0.2, output=tmp_path / "labels"
    )
    summary = main(settings, engines.DYING)
    assert (summary.rows_out, summary.quarantined) == (8, 1)
    aside = pq.read_table(next((settings.output / "quarantine").glob("shard-*")))
    assert aside["reason"].to_pylist() == ["'pair_key' ends the engine's process"]


@pytest.mark.ray
def test_an_engine_that_hangs_ends_the_job_in_the_stated_time(ray_session: None, folder: Path, tmp_path: Path) -> None:
    tables.write(sampled(*PAIRS[:8], (engines.POISON, "p0")), str(tmp_path / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**PINS), str(tmp_path / "pin_text"), tables.PIN_TEXT)
    settings = settings_of(
        folder, "", tables=str(tmp_path), output=tmp_path / "labels", workers={"stall_timeout_s": 10}, rows_per_shard=3
    )
    started = time.monotonic()
    try:
        with pytest.raises(CommitError, match=r"made no progress for at least 1\ds"):
            main(settings, engines.HANGING)
    finally:
        for process in workers_of("Grader"):  # it ends with its driver, which here goes on with other tests
            process.kill()
    assert time.monotonic() - started < 120
    assert not [path for path in settings.output.iterdir() if path.name.startswith((".work", ".tries", ".spill"))]
