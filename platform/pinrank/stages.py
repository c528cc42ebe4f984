"""Running pipelines one after the other, each as its own process, skipping what is done.

A stage is done when its record holds the fingerprint that it would have now: its settings file, its extra
arguments, what it reads from outside the run, pinrank's version and the fingerprints of all stages before it.
The record is written when the stage has ended well, so a run that was killed goes on with the stage it was in.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

import pinrank
from pinrank.durable import exclusive, write_text
from pinrank.errors import PinrankError

SECONDS_BETWEEN_SAMPLES = 2.0


@dataclass(frozen=True)
class Stage:
    """A pipeline, its settings file, what the command line adds, the folders that it goes on filling when resumed, what
    it reads from outside the run, and what it leaves behind.

    `inputs` stands for what is read beside Parquet files of this machine: a model's version, the hash of a log.
    A folder in `grows` is removed before a run under another fingerprint, because what lies there belongs to other
    settings; it is kept when the same run was only interrupted. A stage one of whose `outputs` is gone is not done.
    """

    name: str
    config: str
    arguments: tuple[str, ...] = ()
    grows: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    inputs: str = ""


@dataclass(frozen=True)
class StageRecord:
    """What a stage did; peak_memory_bytes sums over all its processes, shared pages counted once."""

    name: str
    seconds: float
    rows_in: int
    rows_out: int
    quarantined: int
    peak_memory_bytes: int
    fingerprint: str
    details: dict[str, Any] = field(default_factory=dict)


def run_stages(stages: Sequence[Stage], folder: Path, fresh: bool = False) -> Iterator[tuple[StageRecord, bool]]:
    """Run the stages in order; yields each record and whether it was already done.

    Records lie in `folder`, one JSON file a stage. Raises PinrankError when a stage ends badly, and CommitError when
    another run works here, or a stage of a killed one still does: stages inherit the lock.
    """
    with exclusive(folder / ".lock") as lock:
        before = pinrank.__version__
        for stage in stages:
            before = fingerprint(stage, before)
            path = folder / f"{stage.name}.json"
            done = None if fresh else read_record(path)
            if done is not None and done.fingerprint == before and all(Path(left).exists() for left in stage.outputs):
                yield done, True
                continue
            path.unlink(missing_ok=True)
            begin(stage, folder / f"{stage.name}.started", before, fresh)
            record = run_stage(stage, before, lock.fileno())
            write_text(path, json.dumps(asdict(record), indent=2))
            yield record, False


def begin(stage: Stage, mark: Path, stage_fingerprint: str, fresh: bool) -> None:
    """Make way for a run: remove what a run under other settings left, and note whose output grows now."""
    if fresh or not mark.exists() or mark.read_text() != stage_fingerprint:
        for folder in stage.grows:
            shutil.rmtree(folder, ignore_errors=True)
        write_text(mark, stage_fingerprint)


def fingerprint(stage: Stage, before: str) -> str:
    """16 hex digits that change with the stage's settings, the files it reads, and with every stage before it."""
    digest = hashlib.sha256(f"{before}\n{stage.name}\n{' '.join(stage.arguments)}\n".encode())
    digest.update(Path(stage.config).read_bytes())
    digest.update(stage.inputs.encode())
    for file in sorted(file for folder in stage.reads for file in Path(folder).glob("*.parquet")):
        state = file.stat()
        digest.update(f"{file}\n{state.st_size}\n{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def read_record(path: Path) -> StageRecord | None:
    """A stage's record, or None when there is none that can be read."""
    try:
        return StageRecord(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def run_stage(stage: Stage, stage_fingerprint: str, lock: int) -> StageRecord:
    """Run `python -m pipelines.NAME`, its progress on this terminal, and read the summary off its output.

    The process inherits the open file `lock`, and with it the lock. Told to stop, this process tells it, and waits.
    """
    command = [sys.executable, "-m", f"pipelines.{stage.name}", "--config", stage.config, *stage.arguments]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=[lock]) as process:
        try:
            with memory_of(process.pid) as memory:
                assert process.stdout is not None
                lines = [line.rstrip("\n") for line in process.stdout]
        except SystemExit:
            process.terminate()
            raise
    if process.returncode:
        raise PinrankError(
            f"stage {stage.name} ended with exit code {process.returncode}; its message stands above. Mend it and run "
            f"the same command again: finished stages are not repeated. Alone: {' '.join(command)}"
        )
    summary = summary_in(lines)
    return StageRecord(
        name=stage.name,
        seconds=round(time.monotonic() - started, 1),
        rows_in=summary["rows_in"],
        rows_out=summary["rows_out"],
        quarantined=summary["quarantined"],
        peak_memory_bytes=memory.peak_bytes,
        fingerprint=stage_fingerprint,
        details=summary["details"],
    )


def summary_in(lines: Sequence[str]) -> dict[str, Any]:
    """The last line that is a job's JSON summary; Ray may forward a line of its own after it."""
    for line in reversed(lines):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and "rows_out" in found:
                return found
    raise PinrankError("the stage ended well but printed no summary; run it alone to see what it prints")


class PeakMemory:
    """The largest memory seen of a process and all its descendants."""

    def __init__(self) -> None:
        self.peak_bytes = 0


@contextmanager
def memory_of(pid: int, every_s: float = SECONDS_BETWEEN_SAMPLES) -> Iterator[PeakMemory]:
    """Sample the memory of a process tree, every so many seconds, until the block ends."""
    memory = PeakMemory()
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(every_s):
            memory.peak_bytes = max(memory.peak_bytes, tree_memory_bytes(pid))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield memory
    finally:
        ended.set()
        sampler.join()


def tree_memory_bytes(pid: int) -> int:
    """Proportional set size summed over a process and its descendants: shared pages count once in the sum."""
    total = 0
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        try:
            total += _proportional_bytes(process.pid)
        except (OSError, psutil.Error):
            continue  # it has just ended
    return total


def _proportional_bytes(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    if not rollup.exists() or not os.access(rollup, os.R_OK):
        return int(psutil.Process(pid).memory_info().rss)
    for line in rollup.read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
