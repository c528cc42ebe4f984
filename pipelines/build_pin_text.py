"""Bring every pin to its seven text fields, ready for the models, with a fingerprint of them.

    python -m pipelines.build_pin_text --config pipelines/configs/demo/build_pin_text.yaml
    python -m pipelines.build_pin_text --tables runs/mine/tables --engagement LOG --words.min_users 5
    python -m pipelines.build_pin_text --tables T --engagement LOG/2026-05-04 --aggregates T/seen  # one day more

in : pins/  judgments/ (only to know the queries that must stay unseen)  engagement/ (where there is one)
     aggregates/ (where there are some: what earlier logs said; the log then holds only what is new)
out: pin_text/  quarantine/engagement/ (log rows that could not be used)  aggregates/ (where they are asked for)
Without an engagement log the pins' own board titles and link texts are used, and there are no query tokens.
A log of any size is cut by hash of pin_id; a small one is read in this process, a larger one on Ray Data.
"""

import datetime
import logging

from pydantic import Field

from pinrank import logs
from pinrank.cluster import ClusterSettings
from pinrank.dirt import set_aside
from pinrank.durable import MountedFolder
from pinrank.engagement import build
from pinrank.engagement.settings import EngagementSettings
from pinrank.engagement.units import Job, Texts
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.ray_units import WorkSettings, workers_for
from pinrank.tables import JUDGMENTS, read
from pinrank.text import FIELDS
from pinrank.unseen import unseen
from pinrank.work_folder import work_folder

log = logging.getLogger(__name__)


class BuildPinText(JobSettings):
    """Settings of build_pin_text."""

    tables: str = Field(
        "runs/demo/tables", description="folder of pinrank's tables: pins, judgments; pin_text goes here"
    )
    engagement: str | None = Field(None, description="the engagement log; null: tables/engagement where there is one")
    aggregates: MountedFolder | None = Field(
        None, description="what earlier logs said, to which the log is added; null: the log is all there is"
    )
    last_day: datetime.date | None = Field(
        None, description="of the log; later rows are quarantined; null: the latest in it"
    )
    words: EngagementSettings = Field(EngagementSettings(), description="what of the log becomes text")
    rows: WorkSettings = Field(WorkSettings(), description="how the log is cut, and what a worker takes")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="of the log's rows; more of them is an error")
    work: MountedFolder | None = Field(
        None, description="folder for partitions, for every node; null: a temporary one of this machine"
    )
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: BuildPinText) -> Summary:
    """Cut log and pins by pin, find what domains repeat, write each partition's texts."""
    found = sources_of(settings)
    forbidden = unseen(read(f"{settings.tables}/judgments", JUDGMENTS, ["query", "pin_id", "split"]))
    workers = workers_for(found.num_rows, settings.rows, settings.cluster)
    num_partitions = settings.rows.num_partitions(found.num_rows)
    with work_folder(settings.work) as folder:
        job = Job(folder, num_partitions, settings.words, settings.rows, settings.last_day)
        engagement = build.read_engagement(found, job, workers)
        quarantine = f"{settings.tables}/quarantine/engagement"
        set_aside(engagement.report, engagement.bad, quarantine, log_of(settings), settings.max_quarantined_share)
        pins = build.read_pins(found, job, workers)
        before = build.read_before(f"{settings.tables}/pin_text", forbidden, job, workers)
        texts = Texts(
            pins=pins.rows,
            log=None if found.log is None else engagement.rows,
            last_day=build.last_day_of(engagement, settings.last_day),
            before=before.rows if before else [],
            forbidden=forbidden,
            known=build.find_boilerplate(pins, job, workers),
        )
        aggregates = None if settings.aggregates is None else str(settings.aggregates)
        written = build.write(texts, f"{settings.tables}/pin_text", aggregates, job, workers)
    details = {
        "pins_with": {name: written.filled[name] for name in FIELDS},
        "engagement_rows": engagement.report.rows - engagement.report.bad_rows,
        "evidence_rows": written.evidence,
        "mended": dict(sorted(engagement.report.mended.items())),
        "partitions": num_partitions,
    }
    return Summary(logs.num_rows(found.pins), written.rows, engagement.report.bad_rows, details)


def log_of(settings: BuildPinText) -> str:
    """Where the log lies, or would lie."""
    return settings.engagement or f"{settings.tables}/engagement"


def sources_of(settings: BuildPinText) -> build.Sources:
    """The inputs, cut; a log that was named must be there."""
    has_log = settings.engagement is not None or settings.aggregates is not None or exists(log_of(settings))
    return build.sources(
        f"{settings.tables}/pins",
        log_of(settings) if has_log else None,
        None if settings.aggregates is None else str(settings.aggregates),
        settings.words.min_dwell_s,
        settings.rows.rows_per_piece,
    )


if __name__ == "__main__":
    run(main, BuildPinText)
