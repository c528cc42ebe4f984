"""Grading a shard of which some pairs make the engine raise, or its process end.

Such a pair is found by halves and left out; then the others are graded in one call, as if it had never been there. So
the bytes of a shard do not depend on how its bad pairs were found, nor on when a job was killed.

A death of the process leaves nothing to catch, so what is tried is written down before: a worker that takes the shard
over reads what its predecessors died of.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from pinrank.errors import ModelError, PinrankError
from pinrank.levels import NUM_LEVELS
from pinrank.parquet import one_line
from pinrank.teacher.engine import EngineDead, Logits
from pinrank.teacher.tokens import Prompt

log = logging.getLogger(__name__)

MOST_DEATHS = 2
"""A process may end for many reasons; after so many ends on one shard its pairs are suspected."""

MOST_POISON = 16
"""Pairs of one shard; when more make the engine fail, the engine is at fault, not they."""

DIED = "ends the engine's process"

Grade = Callable[[Sequence[Prompt]], Logits]


@dataclass(frozen=True)
class Graded:
    """Logits_NL (NaN in the rows that were left out), and why each of these was, by row."""

    logits_NL: Logits
    refused: dict[int, str]


@dataclass
class Tries:
    """What was tried of a shard, on disk until it is committed: how often some rows were begun and not ended."""

    path: Path
    begun: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, output: Path, shard: str) -> "Tries":
        """The tries of a shard by this worker and those before it."""
        path = output / f".tries-{shard}"
        return cls(path, json.loads(path.read_text()) if path.exists() else {})

    def deaths(self, rows: Sequence[int]) -> int:
        """How often a process ended while it graded these rows."""
        return self.begun.get(_name(rows), 0)

    def begin(self, rows: Sequence[int]) -> None:
        """Note that these rows are graded now."""
        self.begun[_name(rows)] = self.deaths(rows) + 1
        self._write()

    def end(self, rows: Sequence[int]) -> None:
        """Note that the process outlived them."""
        self.begun[_name(rows)] -= 1
        self._write()

    def forget(self) -> None:
        """The shard is committed."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        staging = self.path.with_name(f"{self.path.name}.tmp")
        staging.write_text(json.dumps(self.begun))
        staging.replace(self.path)


class Gate:
    """Several shards at a time in a process, but one of which a process died alone.

    Otherwise a death would be charged to whatever else was being graded, and good pairs be taken for bad ones.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = 0  # that are inside or wait

    @contextmanager
    def entered(self, tries: Tries) -> Iterator[None]:
        """Hold a place for a shard."""
        alone = any(tries.begun.values())
        with self._changed:
            self._alone += alone
            self._changed.wait_for(lambda: not self._inside if alone else not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._alone -= alone
                self._changed.notify_all()


def grade_without_poison(grade: Grade, prompts: Sequence[Prompt], tries: Tries) -> Graded:
    """Grade the prompts but those that the engine cannot grade.

    Raises an engine's PinrankError and EngineDead as they are, EngineDead when it fails on more than MOST_POISON
    prompts, and ModelError when it does so in a third process too, or on all prompts together though on none alone.
    """
    rows = list(range(len(prompts)))
    refused: dict[int, str] = {}
    outcome = _graded(grade, prompts, rows, tries, MOST_DEATHS)
    if isinstance(outcome, str):
        log.warning("%d pairs cannot be graded together: one %s; looking for it by halves", len(rows), outcome)
        refused = _refused(grade, prompts, rows, tries)
        rows = [row for row in rows if row not in refused]
        outcome = _graded(grade, prompts, rows, tries, 2 * MOST_DEATHS)
    if isinstance(outcome, str):
        raise ModelError(
            f"the engine fails on {len(rows)} pairs together, though on none of them alone: one {outcome}. Lower "
            "--engine.batch_size or --rows_per_shard, or give the engine more memory."
        )
    logits_NL = np.full((len(prompts), NUM_LEVELS), np.nan, dtype=np.float32)
    logits_NL[rows] = outcome
    return Graded(logits_NL, refused)


def _refused(grade: Grade, prompts: Sequence[Prompt], rows: Sequence[int], tries: Tries) -> dict[int, str]:
    """The rows among these, which fail together, on which the engine fails alone, and how."""
    found: dict[int, str] = {}
    waiting = _halves(rows)
    while waiting:
        some = waiting.pop()
        outcome = _graded(grade, prompts, some, tries, most_deaths=1)
        if isinstance(outcome, str) and len(some) > 1:
            waiting += _halves(some)
        elif isinstance(outcome, str):
            found[some[0]] = outcome
            if len(found) > MOST_POISON:
                _blame_the_engine(outcome, rows, tries)
    return found


def _blame_the_engine(failure: str, rows: Sequence[int], tries: Tries) -> NoReturn:
    """Let another process try; it may have been this one's accelerator."""
    if tries.deaths(rows) < MOST_DEATHS:
        tries.begin(rows)
        raise EngineDead(failure)
    raise ModelError(
        f"the engine fails on more than {MOST_POISON} pairs of one shard, so it is at fault, not they: one {failure}. "
        "Use --engine.name transformers, or look at the engine's log."
    )


def _halves(rows: Sequence[int]) -> list[Sequence[int]]:
    middle = len(rows) // 2
    return [rows[middle:], rows[:middle]] if middle else [rows]


def _graded(
    grade: Grade, prompts: Sequence[Prompt], rows: Sequence[int], tries: Tries, most_deaths: int
) -> Logits | str:
    """The rows' logits, or in a few words why there are none."""
    if not rows:
        return np.empty((0, NUM_LEVELS), dtype=np.float32)
    if tries.deaths(rows) >= most_deaths:
        return DIED
    outcome: Logits | str
    tries.begin(rows)
    try:
        outcome = grade([prompts[row] for row in rows])
    except (PinrankError, EngineDead):
        raise
    except Exception as cause:  # an engine may raise anything, and all of it means that these rows have no grade
        outcome = f"makes the engine fail ({type(cause).__name__}: {one_line(cause)})"
    tries.end(rows)
    return outcome


def _name(rows: Sequence[int]) -> str:
    return f"{rows[0]}-{rows[-1]}-{len(rows)}"
