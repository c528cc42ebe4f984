"""The evidence of a log for jobs that make no text of it: (pin, query) pairs and (pin, board) edges, each with people.

A log of any size is cut by hash of pin_id as for pin text; a partition's evidence is what one unit sees.
"""

import datetime
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pinrank.cluster import ClusterSettings
from pinrank.dirt import Report, set_aside
from pinrank.durable import MountedFolder
from pinrank.engagement import build
from pinrank.engagement.evidence import EVIDENCE, merged
from pinrank.engagement.settings import EngagementSettings
from pinrank.engagement.units import Job, Read
from pinrank.parquet import exists
from pinrank.ray_units import Workers, WorkSettings, workers_for
from pinrank.spill import Spilled, read_partition
from pinrank.work_folder import work_folder


class LogSettings(BaseModel):
    """Which log is read, and how it is cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engagement: str | None = Field(None, description="the engagement log; null: tables/engagement where there is one")
    aggregates: MountedFolder | None = Field(
        None, description="what earlier logs said, as build_pin_text keeps it; it is read and never written"
    )
    last_day: datetime.date | None = Field(
        None, description="of the log; later rows are quarantined; null: the latest in it"
    )
    min_dwell_s: float = Field(10.0, ge=0, description="a click counts as long from this stay on")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="of the log's rows; more of them is an error")
    rows: WorkSettings = Field(WorkSettings(), description="how the log is cut, and what a worker takes")
    work: MountedFolder | None = Field(
        None, description="folder for partitions, for every node; null: a temporary one of this machine"
    )


@dataclass(frozen=True)
class Evidence:
    """What people did, on disk by pin. A pin's evidence lies in one partition."""

    read: Read
    num_partitions: int
    workers: Workers

    @property
    def report(self) -> Report:
        """Rows of the log, those that could not be used, and what was mended."""
        return self.read.report

    def each(self, work: Callable[[pa.Table], pa.Table]) -> Iterator[pa.Table]:
        """What `work` makes of each partition's evidence (EVIDENCE, merged), in no order; `work` travels to workers."""
        unit = partial(_of_partition, spilled=self.read.rows, work=work)
        yield from self.workers.each(unit, range(self.num_partitions))


@contextmanager
def evidence_of_log(
    tables: str, settings: LogSettings, quarantine: str, cluster: ClusterSettings
) -> Iterator[Evidence]:
    """Read a log (and earlier aggregates) until the block ends; bad rows go to the folder `quarantine`.

    Raises TableError when neither is there, or too many rows are bad.
    """
    default = f"{tables}/engagement"
    log = settings.engagement or (default if settings.aggregates is None or exists(default) else None)
    aggregates = None if settings.aggregates is None else str(settings.aggregates)
    found = build.sources(None, log, aggregates, settings.min_dwell_s, settings.rows.rows_per_piece)
    workers = workers_for(found.num_rows, settings.rows, cluster)
    num_partitions = settings.rows.num_partitions(found.num_rows)
    with work_folder(settings.work) as folder:
        read = build.read_engagement(found, _job(folder, num_partitions, settings), workers)
        if log is not None:
            set_aside(read.report, read.bad, quarantine, log, settings.max_quarantined_share)
        yield Evidence(read, num_partitions, workers)


def _job(folder: Path, num_partitions: int, settings: LogSettings) -> Job:
    words = EngagementSettings(min_dwell_s=settings.min_dwell_s)
    return Job(folder, num_partitions, words, settings.rows, settings.last_day)


def _of_partition(partition: int, spilled: Sequence[Spilled], work: Callable[[pa.Table], pa.Table]) -> pa.Table:
    return work(merged([read_partition(spilled, partition, EVIDENCE)]))
