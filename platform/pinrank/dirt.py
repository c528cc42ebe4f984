"""Rows of a log as they come, and as they are used: one type a column, UTC, one spelling an id, bad rows set aside.

Set aside, with the reason: a required value that is null or empty, text that is no UTF-8, a time that cannot be read or
is impossible. Mended, and counted: times with another zone or none (none is UTC), ids with white space or
control characters around them or composed in another way, stays that are negative or not a number.
"""

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pinrank.errors import TableError
from pinrank.faults import Fault, fault, split
from pinrank.parquet import cast, remove_folder, write_folder
from pinrank.tables import Table
from pinrank.text import normalise_id

IMPOSSIBLE_TIME = "is no possible time"
EARLIEST = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
LATEST = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
"""A time outside is a wrong unit or a wrong clock, and one alone would move every window that ends with the log."""

IDS = ("pin_id", "user_hash", "impression_id")
_MENDS = {
    "is null or empty": "Fill it in.",
    "is no UTF-8 text": "Write the file as UTF-8.",
    IMPOSSIBLE_TIME: "Write ISO 8601 or a timestamp between 2000 and the last day; mind its unit.",
}
EXAMPLES = 5
"""Bad rows that a report names by number; the others it counts."""

Mask = NDArray[np.bool_]


@dataclass
class Report:
    """What was read and what was wrong with it; reports of pieces add up."""

    rows: int = 0
    bad_rows: int = 0
    mended: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)  # (column, reason) → rows
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, other: "Report") -> None:
        """Take in another one; which examples stay depends on the order, how many rows does not."""
        self.rows += other.rows
        self.bad_rows += other.bad_rows
        self.mended += other.mended
        self.faults += other.faults
        for key, places in other.examples.items():
            self.examples[key] = sorted({*self.examples.get(key, ()), *places})[:EXAMPLES]

    def refuse_too_many(self, max_share: float, path: str) -> None:
        """Raise TableError when more than this share of the rows is bad."""
        if self.bad_rows <= max_share * self.rows:
            return
        found = [
            f"column '{column}' {reason} in {count} rows ({', '.join(self.examples[column, reason])}). {_MENDS[reason]}"
            for (column, reason), count in sorted(self.faults.items())
        ]
        raise TableError(
            f"{path}: {self.bad_rows} of {self.rows} rows cannot be used, more than the allowed share {max_share:g}: "
            + " ".join(found)
        )


@dataclass(frozen=True)
class Cleaned:
    """A piece's usable rows in the types of the table, the record of the others (as `faults.split`), and the report."""

    rows: pa.Table
    quarantined: pa.Table
    report: Report


def clean(piece: pa.Table, table: Table, file: str, start: int = 0, last_day: datetime.date | None = None) -> Cleaned:
    """Bring a piece of a log to its table's types, mend what has a rule, set aside what has none.

    start: the number of the piece's first row in its file. last_day: a later time is impossible; null: LATEST's is.
    Raises TableError for a column whose type is not the table's and cannot become it.
    """
    mended: Counter[str] = Counter()
    found: list[Fault] = []
    columns = {}
    for each in table.schema:
        column = piece.column(each.name)
        if pa.types.is_timestamp(each.type):
            column, broken_N = _times(column, _end_of(last_day), mended)
            found += _fault(each.name, IMPOSSIBLE_TIME, broken_N)
        if pa.types.is_string(each.type):
            column, broken_N = _text(column)
            found += _fault(each.name, "is no UTF-8 text", broken_N)
        columns[each.name] = column
    rows = cast(pa.table(columns), table.schema, file)
    for name in IDS:
        if name in rows.column_names:
            rows = _with_one_spelling(rows, name, mended)
    if "dwell_s" in rows.column_names:
        rows = _with_possible_stay(rows, mended)
    wrong = {each.column for each in found}
    for name in table.required:
        found += _fault(name, "is null or empty", _empty(rows.column(name)), found if name in wrong else ())
    return _set_aside(rows, found, mended, file, start)


def keep_bad(cleaned: Cleaned, file: Path) -> list[str]:
    """Write a piece's bad rows to a file for `set_aside`; its name, or none where all rows can be used."""
    if not cleaned.quarantined.num_rows:
        return []
    pq.write_table(cleaned.quarantined, file)
    return [str(file)]


def set_aside(report: Report, records: Sequence[str], folder: str, path: str, max_share: float) -> None:
    """Write the bad rows of a log (records: Parquet files of `Cleaned.quarantined`) to a folder, or remove what an
    earlier run left there. Raises TableError when they are more than this share of its rows.
    """
    report.refuse_too_many(max_share, path)
    if records:
        write_folder(pa.concat_tables([pq.read_table(file) for file in records]), folder)
    else:
        remove_folder(folder)


def _set_aside(rows: pa.Table, found: list[Fault], mended: Counter[str], file: str, start: int) -> Cleaned:
    bad = sorted({row for each in found for row in each.rows.tolist()})
    kept, record = split(rows, found, file) if bad else (rows, split(rows.slice(0, 0), [], file)[1])
    record = record.set_column(1, "row", pc.add(record.column("row"), start))
    name = file.rsplit("/", 1)[-1]
    report = Report(rows.num_rows, len(bad), mended)
    for each in found:
        report.faults[each.column, each.reason] += len(each.rows)
        places = [f"{name}:{row + start}" for row in each.rows[:EXAMPLES].tolist()]
        report.examples[each.column, each.reason] = places
    return Cleaned(kept, record, report)


def _fault(name: str, reason: str, broken_N: Mask, known: Sequence[Fault] = ()) -> list[Fault]:
    """A fault of the rows that are broken, without those of the same column that are known to be for another reason."""
    for each in known:
        if each.column == name:
            broken_N[each.rows] = False
    return fault(name, reason, _MENDS[reason], broken_N) if broken_N.any() else []


def _empty(column: pa.ChunkedArray) -> Mask:
    empty = pc.is_null(column)
    if pa.types.is_string(column.type):
        blank = pc.equal(pc.binary_length(column), 0)
        if _beyond_plain_ascii(column):
            blank = pc.equal(pc.utf8_trim_whitespace(column), "")
        empty = pc.or_kleene(empty, blank)
    return _mask(empty)


def _end_of(last_day: datetime.date | None) -> datetime.datetime:
    if last_day is None:
        return LATEST
    return datetime.datetime.combine(last_day, datetime.time(), datetime.UTC) + datetime.timedelta(days=1)


def _times(column: pa.ChunkedArray, end: datetime.datetime, mended: Counter[str]) -> tuple[pa.ChunkedArray, Mask]:
    """Times as timestamp[us, UTC], null where they are broken; text is read as ISO 8601."""
    known_N = _mask(pc.is_valid(column))
    held = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(held) or pa.types.is_large_string(held):
        times = _parsed_times(column)
        mended["times_read_from_text"] += int(known_N.sum())
    elif pa.types.is_timestamp(held):
        options = pc.CastOptions(target_type=pa.timestamp("us", tz="UTC"), allow_time_truncate=True)
        times = column.cast(options=options)
        if held.tz is None or held.tz not in ("UTC", "+00:00", "Etc/UTC", "Z"):
            mended["times_without_zone" if held.tz is None else "times_of_another_zone"] += int(known_N.sum())
    else:
        return column, np.zeros(len(column), dtype=bool)  # the cast to the table's type says what is wrong
    bounds = [pa.scalar(bound, times.type) for bound in (EARLIEST, end)]
    inside = pc.and_(pc.greater_equal(times, bounds[0]), pc.less(times, bounds[1]))
    broken_N = known_N & ~_mask(inside)
    return (pc.if_else(pa.array(~broken_N), times, None) if broken_N.any() else times), broken_N


def _parsed_times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    wanted = pa.timestamp("us", tz="UTC")
    try:
        return column.cast(pa.string()).cast(wanted)  # fast, and refuses text without a zone
    except (pa.ArrowException, ValueError):
        texts = column.cast(pa.binary()).to_pylist()
        return pa.chunked_array([pa.array([_parsed_time(text) for text in texts], wanted)])


def _parsed_time(text: bytes | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        time = datetime.datetime.fromisoformat(text.decode().strip())
        aware = time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
        return aware.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None


def _text(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, Mask]:
    """Text whose bytes are UTF-8; null where they are not."""
    none_N = np.zeros(len(column), dtype=bool)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column, none_N
    try:
        column.validate(full=True)
        return column, none_N
    except pa.ArrowInvalid:
        values = column.cast(pa.large_binary()).to_pylist()
        texts = [None if value is None else _decoded(value) for value in values]
        broken = [text is None and value is not None for text, value in zip(texts, values, strict=True)]
        return pa.chunked_array([pa.array(texts, pa.string())]), np.array(broken, dtype=bool)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _with_one_spelling(rows: pa.Table, name: str, mended: Counter[str]) -> pa.Table:
    column = rows.column(name)
    if not _beyond_plain_ascii(column):
        return rows
    values = column.to_pylist()
    ids = [None if value is None else normalise_id(value) for value in values]
    changed = sum(one != other for one, other in zip(values, ids, strict=True))
    if changed:
        mended[f"{name}_respelled"] += changed
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(ids, pa.string()))
    return rows


def _with_possible_stay(rows: pa.Table, mended: Counter[str]) -> pa.Table:
    dwell_s = rows.column("dwell_s")
    impossible_N = _mask(pc.or_(pc.is_nan(dwell_s), pc.less(dwell_s, 0.0)))
    if not impossible_N.any():
        return rows
    mended["dwell_s_impossible"] += int(impossible_N.sum())
    possible = pc.if_else(pa.array(~impossible_N), dwell_s, None)
    return rows.set_column(rows.column_names.index("dwell_s"), "dwell_s", possible)


def _beyond_plain_ascii(column: pa.ChunkedArray) -> bool:
    """Whether any byte of a column of strings is not a printing ASCII character; a look at the buffers, no copy."""
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if data is None or not len(chunk):
            continue
        ends = np.frombuffer(offsets, dtype=np.int32)[[chunk.offset, chunk.offset + len(chunk)]]
        bytes_N = np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[1]]
        if len(bytes_N) and (bytes_N.min() < 0x21 or bytes_N.max() > 0x7E):
            return True
    return False


def _mask(booleans: pa.ChunkedArray | pa.Array) -> Mask:
    return np.array(pc.fill_null(booleans, False).to_numpy(zero_copy_only=False), dtype=bool)
