"""A job that is killed in the middle, as a machine's loss would end it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

KILL_DEADLINE_S = 300
"""For a session of its own to start and commit a few shards, on a machine that is busy with other things."""


def kill_after(
    shards: int, output: Path, pipeline: str, options: Sequence[str], files: str = "shard-*.parquet"
) -> None:
    """Start a pipeline as its own process; SIGKILL it and all its children once it has committed so many files."""
    command = [sys.executable, "-m", f"pipelines.{pipeline}", *options]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, env=without_cluster()) as job:
        deadline = time.monotonic() + KILL_DEADLINE_S
        while len(list(output.glob(files))) < shards:
            assert job.poll() is None and time.monotonic() < deadline, job.stderr.read().decode()  # type: ignore[union-attr]
            time.sleep(0.002)
        family = psutil.Process(job.pid).children(recursive=True)
        os.killpg(job.pid, signal.SIGKILL)
        for process in family:
            if process.is_running():
                process.kill()
        psutil.wait_procs(family, timeout=10)


@contextmanager
def training_worker_killed(before_ns: int, beside: Path) -> Iterator[None]:
    """SIGKILL the processes that train, while the block lasts, once a run in the folder `beside` has a checkpoint newer
    than `before_ns`. A block in which there was nothing to kill fails."""
    killed: list[int] = []
    killer = threading.Thread(target=_kill_training_worker, args=(before_ns, beside, killed))
    killer.start()
    yield
    killer.join()
    assert killed, "no training worker was killed: training ended before, or its processes have another name now"


def _kill_training_worker(before_ns: int, beside: Path, killed: list[int]) -> None:
    deadline = time.monotonic() + KILL_DEADLINE_S
    while time.monotonic() < deadline:
        if any(found.stat().st_mtime_ns > before_ns for found in beside.glob(".*.training-*/checkpoint.safetensors")):
            for process in psutil.Process().children(recursive=True):
                if "RayTrainWorker" in " ".join(process.cmdline()):
                    process.kill()
                    killed.append(process.pid)
            return
        time.sleep(0.002)


def without_cluster() -> dict[str, str]:
    """This environment for a job that starts a session of its own."""
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but its lock, which names the last process."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
