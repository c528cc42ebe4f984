"""A labelling job without Ray that is killed before a chosen change of the file system, and one that goes on.

Python reports every file that it opens, renames, removes or makes to an audit hook (PEP 578) before it does so. A kill
at each of these reports is a kill at every commit point, whatever the code calls it.

    python -m tests.labeling.killed_at FOLDER [EVERY]

FOLDER holds tables/ and teacher/. Prints a JSON line: the number of points, and what was wrong after which kill.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from pinrank import shard_folder
from pinrank.labeling.job import Grader, Job, tokenise
from pinrank.labeling.manifest import survey
from pinrank.labeling.shards import Grading
from pinrank.labeling.work import Inputs, prepare
from pinrank.teacher.card import read_card
from pinrank.teacher.engine import EngineSettings
from tests.killed_job import contents
from tests.labeling.engines import RAISING

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")


def label(folder: Path, output: Path) -> None:
    """What the pipeline and its workers do, one after the other in this process."""
    card = read_card(str(folder / "teacher"))
    grading = Grading(teacher=card.version, text=card.text, engine="vllm", dtype="float32", rows_per_shard=8)
    inputs = Inputs((str(folder / "tables" / "sampled_pairs"),), str(folder / "tables" / "pin_text"), [], 0.1)
    with shard_folder.exclusive(output):
        work = prepare(inputs, output, grading).work
        done = shard_folder.committed(output, work.shards, grading)
        job = Job(output, str(folder / "teacher"), EngineSettings(), grading, opening=RAISING)
        grader = Grader(job)
        for told in work.todo(done):
            pairs = tokenise(pa.Table.from_pylist([told]), job).column("pairs").combine_chunks().flatten()
            grader.commit(told["shard"], pa.Table.from_struct_array(pairs))
        shard_folder.publish(output, survey(output, work.shards, grading))


def changes_counted(output: Path, at: Callable[[int], None]) -> None:
    """Call `at` with 1, 2, ... before each change of a file below `output`."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        opened = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if (opened or event in CHANGES) and str(arguments[0]).startswith(str(output)):
            seen += 1
            at(seen)

    sys.addaudithook(hook)


def in_a_child(work: Callable[[], None]) -> int:
    """Run something in a fork; returns its exit code, negative for a signal."""
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        work()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def count_points(folder: Path, output: Path) -> int:
    """The changes of an uninterrupted job."""
    counted = folder / "points"

    def work() -> None:
        changes_counted(output, lambda seen: counted.write_text(str(seen)) and None)
        label(folder, output)

    assert in_a_child(work) == 0
    return int(counted.read_text())


def wrong_after(point: int, folder: Path, output: Path, whole: dict[str, bytes]) -> str:
    """What differs from an uninterrupted job after a kill at a point and another run; '' when nothing does."""

    def killed() -> None:
        changes_counted(output, lambda seen: os.kill(os.getpid(), signal.SIGKILL) if seen == point else None)
        label(folder, output)

    if in_a_child(killed) != -signal.SIGKILL:
        return "was not killed"
    if in_a_child(lambda: label(folder, output)) != 0:
        return "does not go on"
    found = contents(output)
    if found.keys() != whole.keys():
        return f"holds {sorted(found.keys() ^ whole.keys())}"
    return f"differs in {[name for name in whole if whole[name] != found[name]]}" if found != whole else ""


def main() -> None:
    folder, every = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    output = (
        folder / "output"
    )  # one name for all: the quarantine's records hold none, but paths must not decide anything
    num_points = count_points(folder, output)
    whole = contents(output)
    wrong = {}
    for point in range(1, num_points + 1, every):
        shutil.rmtree(output)
        if said := wrong_after(point, folder, output, whole):
            wrong[point] = said
    print(json.dumps({"points": num_points, "rows": len(whole), "wrong": wrong}))


if __name__ == "__main__":
    main()
