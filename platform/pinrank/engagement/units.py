"""What is done with one stretch of a table, and with one partition, when pin text is built."""

import datetime
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pinrank import logs
from pinrank.dirt import Report, clean, keep_bad
from pinrank.engagement.evidence import EVIDENCE, evidence_of, merged
from pinrank.engagement.links import PARTS, Boilerplate, boilerplate, parts_of
from pinrank.engagement.pin_text import Log, texts_of
from pinrank.engagement.settings import EngagementSettings
from pinrank.errors import TableError
from pinrank.keys import column_hashes
from pinrank.parquet import write_part
from pinrank.ray_units import WorkSettings
from pinrank.spill import Spilled, read_partition, spill
from pinrank.tables import ENGAGEMENT, PIN_ENGAGEMENT, PIN_TEXT, PINS, Table
from pinrank.text import FIELDS
from pinrank.unseen import Unseen

PIN_FIELDS = Table(
    "pins",
    pa.schema([each for each in PINS.schema if each.name not in ("image_url", "updated_at")]),
    required=("pin_id",),
)
"""What of a pin its text is made of."""

BUILT_UNDER = b"pinrank.built_under"
MIN_DWELL_S = b"pinrank.min_dwell_s"


@dataclass(frozen=True)
class Job:
    """What every unit has to know. The folders must be reachable from every node of the cluster."""

    work: Path
    num_partitions: int
    words: EngagementSettings
    rows: WorkSettings
    last_day: datetime.date | None = None


@dataclass
class Read:
    """What came of a stretch: spilled rows, parts of link texts, bad rows, and the last day seen."""

    rows: list[Spilled] = field(default_factory=list)
    parts: list[Spilled] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    last_day: datetime.date | None = None

    def add(self, other: "Read") -> None:
        """Take in another one."""
        self.rows += other.rows
        self.parts += other.parts
        self.bad += other.bad
        self.report.add(other.report)
        self.last_day = max(filter(None, (self.last_day, other.last_day)), default=None)

    def ordered(self) -> "Read":
        """In the order of the stretches, whichever was read first."""
        by_file = [sorted(each, key=lambda spilled: spilled.file) for each in (self.rows, self.parts)]
        return Read(by_file[0], by_file[1], sorted(self.bad), self.report, self.last_day)


@dataclass(frozen=True)
class Texts:
    """What a partition is made from and where it goes."""

    pins: Sequence[Spilled]
    log: Sequence[Spilled] | None
    last_day: datetime.date
    before: Sequence[Spilled]
    forbidden: Unseen
    known: Boilerplate
    output: str = ""
    aggregates: str | None = None


@dataclass
class Written:
    """Rows of PIN_TEXT, how many pins have each field, and rows of evidence."""

    rows: int = 0
    evidence: int = 0
    filled: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Written") -> None:
        """Take in another one."""
        self.rows += other.rows
        self.evidence += other.evidence
        self.filled += other.filled


def read_log(stretch: logs.Stretch, job: Job) -> Read:
    """Log rows → evidence on disk, by pin."""

    def rows_of(piece: pa.Table, start: int, found: Read) -> pa.Table:
        cleaned = clean(piece, ENGAGEMENT, stretch.file, start, job.last_day)
        found.report.add(cleaned.report)
        found.bad += keep_bad(cleaned, job.work / f"bad-log-{stretch.number:06d}-{start:012d}.parquet")
        evidence = evidence_of(cleaned.rows, job.words.min_dwell_s)
        _see(evidence, found)
        return evidence

    return _spilled(stretch, ENGAGEMENT, "log", rows_of, job)


def read_aggregates(stretch: logs.Stretch, job: Job) -> Read:
    """Evidence of earlier logs, again by pin."""

    def rows_of(piece: pa.Table, start: int, found: Read) -> pa.Table:
        evidence = piece.cast(EVIDENCE)
        _see(evidence, found)
        return evidence

    return _spilled(stretch, PIN_ENGAGEMENT, "aggregates", rows_of, job)


def read_pins(stretch: logs.Stretch, job: Job) -> Read:
    """Pins on disk by pin, and the parts of their link texts by domain. Raises TableError for a pin without an id."""

    def rows_of(piece: pa.Table, start: int, found: Read) -> pa.Table:
        cleaned = clean(piece, PIN_FIELDS, stretch.file, start)
        cleaned.report.refuse_too_many(0, stretch.file)
        parts = parts_of(cleaned.rows)
        file = job.work / f"parts-{stretch.number:06d}-{start:012d}"
        found.parts.append(spill(parts, parts.column("domain").to_numpy, job.num_partitions, file))
        return cleaned.rows

    return _spilled(stretch, PIN_FIELDS, "pins", rows_of, job)


def read_texts(stretch: logs.Stretch, job: Job) -> Read:
    """Earlier PIN_TEXT on disk, by pin."""
    return _spilled(stretch, PIN_TEXT, "texts", lambda piece, start, found: piece.cast(PIN_TEXT.schema), job)


def shared_parts(partition: int, parts: Sequence[Spilled], words: EngagementSettings) -> Boilerplate:
    """The boilerplate of a partition of the domains."""
    return boilerplate(read_partition(parts, partition, PARTS), words.boilerplate)


def write_texts(partition: int, texts: Texts, job: Job) -> Written:
    """Write a partition's PIN_TEXT, and its evidence where it is kept. Raises TableError when pins repeat an id."""
    pins = read_partition(texts.pins, partition, PIN_FIELDS.schema)
    _refuse_repeated(pins)
    log, num_evidence = None, 0
    if texts.log is not None:
        evidence = read_partition(texts.log, partition, EVIDENCE)
        if texts.aggregates is not None:
            evidence = merged([evidence])
            kept = evidence.replace_schema_metadata({MIN_DWELL_S: str(job.words.min_dwell_s)})
            write_part(kept, texts.aggregates, partition)
        log, num_evidence = Log(evidence, texts.last_day, texts.forbidden), evidence.num_rows
    before = read_partition(texts.before, partition, PIN_TEXT.schema) if texts.before else None
    made = texts_of(pins, log, texts.known, job.words, before)
    under = {BUILT_UNDER: built_under(job.words, texts.forbidden)}
    write_part(made.replace_schema_metadata(under), texts.output, partition)
    filled = {name: pc.sum(pc.not_equal(made.column(name), "")).as_py() or 0 for name in FIELDS}
    return Written(made.num_rows, num_evidence, Counter(filled))


def built_under(words: EngagementSettings, forbidden: Unseen) -> str:
    """16 hex digits of all that decides, beside the log, which words a text may hold.

    Words of an earlier text stay only where this is the same, or a query that is judged since would leak through it.
    """
    digest = hashlib.blake2b(words.model_dump_json().encode(), digest_size=8)
    digest.update("\x1f".join(sorted(forbidden.queries)).encode())
    digest.update(forbidden.pairs.tobytes())
    return digest.hexdigest()


def _spilled(
    stretch: logs.Stretch, table: Table, name: str, rows_of: Callable[[pa.Table, int, Read], pa.Table], job: Job
) -> Read:
    found = Read()
    for start, piece in logs.pieces(stretch, table.schema.names, job.rows.rows_per_piece):
        rows = rows_of(piece, start, found)
        file = job.work / f"{name}-{stretch.number:06d}-{start:012d}"
        found.rows.append(spill(rows, partial(column_hashes, rows.column("pin_id")), job.num_partitions, file))
    return found


def _see(evidence: pa.Table, found: Read) -> None:
    last_day = pc.max(evidence.column("last_day")).as_py()
    found.last_day = max(filter(None, (found.last_day, last_day)), default=None)


def _refuse_repeated(pins: pa.Table) -> None:
    counts = pins.column("pin_id").value_counts()
    again = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(again):
        shown = ", ".join(repr(each) for each in again[:5].to_pylist())
        raise TableError(
            f"pins: column 'pin_id' repeats the id of an earlier row: {len(again)} do ({shown}). Keep one row an id."
        )
