"""A refresh of the pins' vectors that is killed before a chosen change of a file, and one that goes on.

    python -m tests.embeddings.killed_at FOLDER [EVERY]

FOLDER holds student/ and is written to. Prints a JSON line: the number of points, and what was wrong after which kill.
At each point the store is opened: it must hold the pins of before or those of after, never a mix. Then the job runs
again, and must leave the bytes of one that was not killed.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from pinrank.embeddings.store import PinStore
from tests.embeddings.embedded_here import embed, write_pins
from tests.killed_job import contents
from tests.labeling.killed_at import changes_counted, in_a_child

BEFORE = {f"pin-{number}": f"thing {number}" for number in range(12)}
AFTER = {**BEFORE, "pin-1": "changed", "new": "a new one"}
del AFTER["pin-2"]
MOST = {"merging": {"max_deltas": 1, "max_delta_share": 0.9}}
"""The second delta is merged with the first, so that a kill meets that too."""


def started(folder: Path) -> None:
    """The state from which each job starts: a store with one delta, and pins that changed since."""
    shutil.rmtree(folder / "tables", ignore_errors=True)
    shutil.rmtree(folder / "store", ignore_errors=True)
    shutil.rmtree(folder / "store.work", ignore_errors=True)
    write_pins(folder, {**BEFORE, "pin-0": "older"})
    embed(folder)
    write_pins(folder, BEFORE)
    embed(folder, **MOST)
    write_pins(folder, AFTER)
    shutil.copytree(folder, folder.with_name("start"), symlinks=True, dirs_exist_ok=True)


def restored(folder: Path) -> None:
    """Back to that state."""
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("start"), folder, symlinks=True)


def held(folder: Path) -> str:
    """Which pins the store holds: those of before, of after, or others."""
    opened = PinStore.open(folder / "store", verify=True)
    known = sorted({*BEFORE, *AFTER})
    found = {pin_id for pin_id, there in zip(known, opened.gather(known).found_N, strict=True) if there}
    changed = len(opened.terms(["pin-1"]).terms)  # "thing 1" or "changed"
    if (found, changed, len(opened)) == (set(BEFORE), 2, len(BEFORE)):
        return "before"
    return "after" if (found, changed, len(opened)) == (set(AFTER), 1, len(AFTER)) else f"others: {sorted(found)}"


def wrong_after(point: int, folder: Path, whole: dict[str, bytes]) -> str:
    """What is wrong after a kill at a point; '' when nothing is."""

    def killed() -> None:
        changes_counted(folder, lambda seen: os.kill(os.getpid(), signal.SIGKILL) if seen == point else None)
        embed(folder, **MOST)

    if in_a_child(killed) != -signal.SIGKILL:
        return "was not killed"
    if (seen := held(folder)) not in ("before", "after"):
        return f"holds {seen}"
    if in_a_child(lambda: embed(folder, **MOST) and None) != 0:
        return "does not go on"
    found = contents(folder)
    if found.keys() != whole.keys():
        return f"holds {sorted(found.keys() ^ whole.keys())}"
    return f"differs in {[name for name in whole if whole[name] != found[name]]}" if found != whole else ""


def count_points(folder: Path) -> int:
    """The changes of an uninterrupted job."""
    counted = folder.with_name("points")

    def work() -> None:
        note: Callable[[int], None] = lambda seen: counted.write_text(str(seen)) and None  # noqa: E731
        changes_counted(folder, note)
        embed(folder, **MOST)

    assert in_a_child(work) == 0
    return int(counted.read_text())


def main() -> None:
    root, every = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    folder = root / "run"
    folder.mkdir()
    (folder / "student").symlink_to(root / "student")
    started(folder)
    num_points = count_points(folder)
    whole = contents(folder)
    wrong = {}
    for point in range(1, num_points + 1, every):
        restored(folder)
        if said := wrong_after(point, folder, whole):
            wrong[point] = said
    print(json.dumps({"points": num_points, "files": len(whole), "wrong": wrong}))


if __name__ == "__main__":
    main()
