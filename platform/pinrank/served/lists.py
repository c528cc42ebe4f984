"""The log of lists that were shown: one JSON object a line, files of a day in the folder of the day (UTC).

    FOLDER/2026-05-04/served-HOST-PID-TIME.jsonl        finished
    FOLDER/2026-05-04/served-HOST-PID-TIME.jsonl.open   being written, or left behind by a process that died

A line is whole or is none: of a process that was killed the last one may be torn, and is left out and counted.
"""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pinrank.errors import TableError
from pinrank.tables import SERVED

FINISHED, OPEN = ".jsonl", ".jsonl.open"


class ServedList(BaseModel):
    """One list: the pins as they were shown, best first, and what the student said of each."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    list_id: str = Field(min_length=1)
    ts: AwareDatetime
    query: str = Field(min_length=1)
    query_locale: str | None = None
    version: str = Field(min_length=1, description="of the release that answered")
    role: Literal["current", "canary"] = "current"
    degraded: str | None = Field(None, description="the steps that the answer fell back to")
    pin_ids: tuple[str, ...]
    positions: tuple[int, ...] = Field(description="in the list as shown, from 0; at others stood texts")
    scores: tuple[float, ...]
    levels: tuple[int | None, ...] = Field(description="the likeliest; null where the student did not grade the pin")

    @model_validator(mode="after")
    def _as_long_as_each_other(self) -> "ServedList":
        lengths = {len(column) for column in (self.pin_ids, self.positions, self.scores, self.levels)}
        if len(lengths) > 1:
            raise ValueError("pin_ids, positions, scores and levels must be as long as each other")
        if any(later <= earlier for earlier, later in zip(self.positions, self.positions[1:], strict=False)):
            raise ValueError("positions must grow")
        if not all(level is None or 1 <= level <= 5 for level in self.levels):
            raise ValueError("levels must be 1..5 or null")
        return self


@dataclass(frozen=True)
class BadLine:
    """A line that is no list."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True)
class Day:
    """What a day's log says: SERVED, a row a pin shown; how many lists that is; the lines that are none."""

    shown: pa.Table
    num_lists: int
    bad: tuple[BadLine, ...]


def day_of(folder: Path, day: datetime.date) -> Path:
    """Where a day's files lie."""
    return folder / day.isoformat()


def read_day(folder: Path, day: datetime.date) -> Day:
    """The lists of a day, in the order of their ids, so that the order of files and lines means nothing.

    A list that is there twice (a file that was copied) counts once. Raises TableError when nothing was logged that day.
    """
    files = sorted(path for end in (FINISHED, OPEN) for path in day_of(folder, day).glob(f"*{end}"))
    if not files:
        raise TableError(
            f"{day_of(folder, day)}: holds no *{FINISHED}, so no list of that day was logged. Set served_log in the "
            "service's settings, copy its files here, or give another --date."
        )
    lists: dict[str, ServedList] = {}
    bad: list[BadLine] = []
    for path in files:
        for number, found in _lists(path):
            if isinstance(found, ServedList):
                lists[found.list_id] = found
            else:
                bad.append(BadLine(str(path), number, found))
    return Day(table_of([lists[list_id] for list_id in sorted(lists)]), len(lists), tuple(bad))


def table_of(lists: Sequence[ServedList]) -> pa.Table:
    """SERVED: a row a pin shown."""
    rows = [
        {
            **each.model_dump(include={"list_id", "ts", "query", "query_locale", "version", "role", "degraded"}),
            **{"pin_id": pin_id, "position": position, "score": score, "level": level},
        }
        for each in lists
        for pin_id, position, score, level in zip(each.pin_ids, each.positions, each.scores, each.levels, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=SERVED.schema)


def _lists(path: Path) -> Iterator[tuple[int, ServedList | str]]:
    """Every line's number from 1, with its list or the reason why it is none."""
    content = path.read_bytes()
    lines = content.split(b"\n")
    torn = lines.pop()
    for number, line in enumerate(lines, start=1):
        try:
            yield number, ServedList.model_validate_json(line)
        except ValidationError as cause:
            yield number, reason_of(cause)
    if torn:
        yield len(lines) + 1, "the line has no end: its process died, or the file was cut"


def reason_of(cause: ValidationError) -> str:
    """What is wrong with a line, without what stands in it: queries belong in no message."""
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'line'}: {each['msg']}" for each in cause.errors())
