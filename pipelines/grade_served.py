"""Let the teacher grade what the service showed, and say how far the student agrees and how good the live order is.

    python -m pipelines.grade_served --config pipelines/configs/demo/grade_served.yaml
    python -m pipelines.grade_served --config pipelines/configs/full/grade_served.yaml --date 2026-05-04 --alert.qwk 0.5

in : served/DAY/     the log of lists that replicas of the service wrote (served_log in their settings)
     pin_text/       pin_id, the seven text fields, fingerprint
     teacher/        the folder that train_teacher wrote
out: OUTPUT/served/date=DAY/          the lists as a table; what was no list in OUTPUT/quarantine/date=DAY/
     OUTPUT/sampled_pairs/date=DAY/   their pairs, each once
     OUTPUT/soft_labels/date=DAY/     graded by label_impressions; what an earlier day graded is not graded again
     OUTPUT/report.json, .md, .html   agreement and nDCG by segment and by day, of the last `window_days` days
Safe to kill at any point: the same command goes on where it stopped.
Exit code 4: done, and a figure of the day is beyond its limit.
"""

import datetime
import logging
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from pinrank import tables
from pinrank.cluster import ClusterSettings
from pinrank.daily.plan import yesterday
from pinrank.durable import MountedFolder
from pinrank.errors import TableError
from pinrank.evaluation.comparison import BootstrapSettings, Figure, Report, Section
from pinrank.evaluation.report_files import write_files
from pinrank.labeling.job import WorkerSettings
from pinrank.labeling.parity import ParitySettings
from pinrank.parquet import remove_folder, write_folder
from pinrank.pipeline import JobSettings, Summary, run, versions
from pinrank.served.agreement import OVERALL, SegmentSettings, Shown, days, segments, shown_of, table
from pinrank.served.alert import AlertSettings, alerts
from pinrank.served.lists import BadLine, read_day
from pinrank.served.pairs import pairs_of
from pinrank.shard_folder import MANIFEST
from pinrank.soft_labels import day_folder
from pinrank.tables import SAMPLED_PAIRS, SERVED, SOFT_LABELS
from pinrank.teacher.card import read_card
from pinrank.teacher.score import EngineSettings
from pipelines.label_impressions import LabelImpressions
from pipelines.label_impressions import main as label

log = logging.getLogger(__name__)

BEYOND = 4
"""The exit code when a figure is beyond its limit."""


class GradeServed(JobSettings):
    """Settings of grade_served."""

    served: Path = Field(Path("runs/demo/served"), description="the log of lists: served_log.folder of the service")
    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: pin_text")
    teacher: Path = Field(Path("runs/demo/teacher"), description="folder of the trained teacher")
    output: MountedFolder = Field(Path("runs/demo/served_grades"), description="everything goes here")
    date: datetime.date | None = Field(None, description="the day to grade; null: yesterday (UTC)")
    window_days: int = Field(28, ge=1, description="days in the report, up to that one")
    reuse: tuple[MountedFolder, ...] = Field((), description="finished soft_labels, whose grades are taken")
    segments: SegmentSettings = Field(SegmentSettings(), description="how lists are cut into segments")
    bootstrap: BootstrapSettings = Field(BootstrapSettings(), description="how sure the figures are")
    alert: AlertSettings = Field(AlertSettings(), description="when a figure of the day is beyond what it should be")
    max_bad_share: float = Field(0.05, ge=0, le=1, description="fail when more of the lines are no lists")
    engine: EngineSettings = Field(EngineSettings(), description="which engine grades, and how")
    workers: WorkerSettings = Field(WorkerSettings(), description="engine actors and what they take")
    parity: ParitySettings = Field(ParitySettings(), description="the engine's comparison with the reference")
    rows_per_shard: int = Field(2048, ge=1, description="pairs graded and committed as one unit")
    max_quarantined_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="fail when more pairs cannot be graded: mostly of pins without text",
    )
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: GradeServed) -> Summary:
    """Read the day's lists, grade their pairs, join them with those of the days before, report."""
    day = settings.date or yesterday(datetime.datetime.now(datetime.UTC))
    served, bad = lists_of(settings, day)
    tables.write(pairs_of(served), str(settings.output / "sampled_pairs" / day_folder(day)), SAMPLED_PAIRS)
    graded = label(labelling_of(settings, day))
    shown = shown_of(graded_days(settings, day), read_card(str(settings.teacher)).calibration)
    report, today = report_of(shown, day, settings)
    beyond = alerts(today, settings.alert)
    for alert in beyond:
        log.warning("%s: %s", day, alert)
    found = {
        "day": day.isoformat(),
        "today": {metric: asdict(figure) for metric, figure in today.items()},
        "alerts": [asdict(alert) for alert in beyond],
    }
    record = {"settings": settings.model_dump(mode="json"), "versions": versions()}
    files = write_files(report, found | record, settings.output, "report")
    details = found | {"files": files, "lists": len(served["list_id"].unique()), "labels": graded.details}
    return Summary(served.num_rows + len(bad), served.num_rows, len(bad), details)


def lists_of(settings: GradeServed, day: datetime.date) -> tuple[pa.Table, tuple[BadLine, ...]]:
    """SERVED of a day, which is written down, and the lines that are no lists, which are set aside.

    Raises TableError when nothing was logged, or too many lines are no lists.
    """
    read = read_day(settings.served, day)
    aside = str(settings.output / "quarantine" / day_folder(day))
    if read.bad:
        write_folder(pa.Table.from_pylist([vars(line) for line in read.bad]), aside)
    else:
        remove_folder(aside)
    if len(read.bad) > settings.max_bad_share * (len(read.bad) + read.num_lists):
        raise TableError(
            f"{settings.served}/{day}: {len(read.bad)} lines are no lists, {read.num_lists} are: more than the allowed "
            f"share {settings.max_bad_share:g}. They are in {aside}. First: {read.bad[0].reason}"
        )
    tables.write(read.shown, str(settings.output / "served" / day_folder(day)), SERVED)
    return read.shown, read.bad


def labelling_of(settings: GradeServed, day: datetime.date) -> LabelImpressions:
    """The labelling job for a day's pairs."""
    return LabelImpressions(
        tables=settings.tables,
        pairs=(str(settings.output / "sampled_pairs" / day_folder(day)),),
        teacher=settings.teacher,
        output=settings.output / "soft_labels",
        date=day,
        reuse=settings.reuse,
        engine=settings.engine,
        workers=settings.workers,
        parity=settings.parity,
        rows_per_shard=settings.rows_per_shard,
        max_quarantined_share=settings.max_quarantined_share,
        cluster=settings.cluster,
    )


def graded_days(settings: GradeServed, last: datetime.date) -> list[tuple[datetime.date, pa.Table, pa.Table]]:
    """The days of the window that are graded by the teacher of today: SERVED with SOFT_LABELS."""
    teacher = read_card(str(settings.teacher)).version
    found = []
    for back in reversed(range(settings.window_days)):
        day = last - datetime.timedelta(days=back)
        labels, served = (settings.output / name / day_folder(day) for name in ("soft_labels", "served"))
        if not (labels / MANIFEST).exists() or not served.exists():
            continue
        graded = tables.read(str(labels), SOFT_LABELS)
        if set(graded["teacher"].to_pylist()) == {teacher}:
            found.append((day, tables.read(str(served), SERVED), graded))
        else:
            log.warning("%s was graded by another teacher, and is left out of the report", day)
    return found


def report_of(shown: Shown, day: datetime.date, settings: GradeServed) -> tuple[Report, dict[str, Figure]]:
    """The tables by segment and by day, and the figures of the day itself."""
    parts = list(segments(shown, settings.segments))
    today = shown.take(shown.days_N == day.isoformat())
    sections = [
        table(f"The last {settings.window_days} days by segment", parts, settings.bootstrap),
        *over_time(parts, settings),
    ]
    of_day = table(day.isoformat(), [(OVERALL, today)], settings.bootstrap)
    notes = (
        f"{day}: {today.num_lists:,} lists; {shown.num_lists:,} in the window. Truth is what the teacher says, and its "
        "mistakes are in every figure.",
        "nDCG@10 is of the lists as shown; lists whose pins have one level say nothing. Accuracy, kappa, Spearman and "
        "drift are of the pins that the student graded.",
    )
    return Report("Lists as served, graded by the teacher", (of_day, *sections), {}, notes), of_day.figures[OVERALL]


def over_time(parts: list[tuple[str, Shown]], settings: GradeServed) -> list[Section]:
    """A table by day for every segment."""
    by_day = [(name, list(days(part, settings.segments))) for name, part in parts]
    return [table(f"By day: {name}", rows, settings.bootstrap) for name, rows in by_day if rows]


def exit_code(summary: Summary) -> int:
    """0, or BEYOND when a figure is beyond its limit."""
    return BEYOND if summary.details["alerts"] else 0


if __name__ == "__main__":
    run(main, GradeServed, exit_code=exit_code)
