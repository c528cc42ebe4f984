"""What is done with one stretch of a log, and with one partition of its queries or pins, when they are sampled."""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank import logs
from pinrank.dirt import Report, clean, keep_bad
from pinrank.keys import Hashes, column_hashes, hashes
from pinrank.ray_units import WorkSettings
from pinrank.sampling.allocation import Cell, Content
from pinrank.sampling.pairs import PAIRS, SCORES, pairs_of
from pinrank.sampling.placed import Placed, contents, highest, lowest, placed
from pinrank.sampling.settings import Wanted
from pinrank.sampling.shown import PINS, QUERIES, SHOWN, Days, shown
from pinrank.sampling.strata import Popularity
from pinrank.spill import Spilled, read_partition, spill
from pinrank.tables import IMPRESSIONS, PAIR_SCORES, Table
from pinrank.text import normalise_query
from pinrank.unseen import Unseen

ROWS = Table(
    "impressions",
    pa.schema([each for each in IMPRESSIONS.schema if each.name != "actions"]),
    required=IMPRESSIONS.required,
)
"""What of an impression its place in the sample depends on."""


@dataclass(frozen=True)
class Job:
    """What every unit has to know. The work folder must be reachable from every node of the cluster."""

    work: Path
    num_partitions: int
    rows: WorkSettings
    wanted: Wanted
    forbidden: Unseen
    last_day: datetime.date | None = None


@dataclass
class Read:
    """What came of stretches: spilled rows and names, bad rows, impressions left out, and the days seen."""

    rows: list[Spilled] = field(default_factory=list)
    queries: list[Spilled] = field(default_factory=list)
    pins: list[Spilled] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    left_out: Counter[str] = field(default_factory=Counter)
    days: Days = field(default_factory=Days)

    def add(self, other: "Read") -> None:
        """Take in another one."""
        self.rows += other.rows
        self.queries += other.queries
        self.pins += other.pins
        self.bad += other.bad
        self.report.add(other.report)
        self.left_out.update(other.left_out)
        first = [day for day in (self.days.first, other.days.first) if day is not None]
        last = [day for day in (self.days.last, other.days.last) if day is not None]
        self.days = Days(min(first, default=None), max(last, default=None))


@dataclass
class Paired:
    """What came of partitions of the queries: their pairs on disk, by pin."""

    pairs: list[Spilled] = field(default_factory=list)
    volumes: Counter[int] = field(default_factory=Counter)
    repeated: int = 0

    def add(self, other: "Paired") -> None:
        """Take in another one."""
        self.pairs += other.pairs
        self.volumes.update(other.volumes)
        self.repeated += other.repeated


@dataclass(frozen=True)
class Placing:
    """What the cells of a pair depend on."""

    pairs: Sequence[Spilled]
    pins: Sequence[Spilled]
    bands: Popularity
    days: Days


@dataclass(frozen=True)
class Counted:
    """What came of a partition of the pins."""

    cells: dict[Cell, Content]
    highest: pa.Table


def read_impressions(stretch: logs.Stretch, job: Job) -> Read:
    """Rows of the log on disk by query, and the names of queries and pins."""
    found = Read()
    for start, piece in logs.pieces(stretch, ROWS.schema.names, job.rows.rows_per_piece):
        cleaned = clean(piece, ROWS, stretch.file, start, job.last_day)
        name = f"{stretch.number:06d}-{start:012d}"
        found.bad += keep_bad(cleaned, job.work / f"bad-{name}.parquet")
        rows = shown(cleaned.rows, job.forbidden)
        for kind, table, key, into in (
            ("rows", rows.rows, "query", found.rows),
            ("queries", rows.queries, "query", found.queries),
            ("pins", rows.pins, "pin", found.pins),
        ):
            of_column = partial(_column, table, key)
            into.append(spill(table, of_column, job.num_partitions, job.work / f"{kind}-{name}"))
        found.add(Read(report=cleaned.report, left_out=rows.left_out, days=rows.days))
    return found


def read_scores(stretch: logs.Stretch, job: Job) -> Read:
    """What models said of pairs, on disk by query."""
    found = Read()
    for start, piece in logs.pieces(stretch, PAIR_SCORES.schema.names, job.rows.rows_per_piece):
        cleaned = clean(piece, PAIR_SCORES, stretch.file, start)
        found.report.add(cleaned.report)
        query_N = hashes([normalise_query(query) for query in cleaned.rows.column("query").to_pylist()], 0)
        pin_N = column_hashes(cleaned.rows.column("pin_id"))
        said = [cleaned.rows.column(name) for name in ("uncertainty", "disagreement")]
        scores = pa.table([pa.array(query_N), pa.array(pin_N), *said], schema=SCORES)
        file = job.work / f"scores-{stretch.number:06d}-{start:012d}"
        found.rows.append(spill(scores, partial(_column, scores, "query"), job.num_partitions, file))
    return found


def pair_up(partition: int, rows: Sequence[Spilled], scores: Sequence[Spilled], days: Days, job: Job) -> Paired:
    """The pairs of a partition of the queries, on disk by pin."""
    said = read_partition(scores, partition, SCORES)
    found = pairs_of(read_partition(rows, partition, SHOWN), said, days, job.wanted)
    of_pin = partial(_column, found.pairs, "pin")
    spilled = spill(found.pairs, of_pin, job.num_partitions, job.work / f"pairs-{partition:06d}")
    return Paired([spilled], found.volumes, found.repeated)


def count_cells(partition: int, placing: Placing, job: Job) -> Counted:
    """What the cells of a partition of the pins hold, and its pairs with the largest scores."""
    found = _placed(partition, placing, job)
    most = round(job.wanted.active.share * job.wanted.size)
    return Counted(contents(found), highest(found, most, job.wanted.active.by))


def take_pairs(partition: int, placing: Placing, takes: Mapping[Cell, int], active: Hashes, job: Job) -> pa.Table:
    """The pairs of a partition of the pins that may be in the sample (TAKEN)."""
    return lowest(_placed(partition, placing, job), takes, active)


def name_queries(partition: int, queries: Sequence[Spilled], chosen: Hashes) -> pa.Table:
    """The spelling that sorts first of each chosen query of a partition (QUERIES)."""
    names = read_partition(queries, partition, QUERIES)
    wanted = names.filter(pc.is_in(names.column("query"), pa.array(chosen)))
    return wanted.group_by("query").aggregate([("spelling", "min")]).rename_columns(QUERIES.names).cast(QUERIES)


def _column(table: pa.Table, name: str) -> Hashes:
    return np.asarray(table.column(name).to_numpy(), dtype=np.uint64)


def _placed(partition: int, placing: Placing, job: Job) -> Placed:
    pairs = read_partition(placing.pairs, partition, PAIRS)
    pins = read_partition(placing.pins, partition, PINS)
    return placed(pairs, pins, placing.bands, placing.days, job.wanted)
