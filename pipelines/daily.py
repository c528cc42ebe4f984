"""Do every day that is not done: yesterday's log to labels, and once a week to a student that is promoted or held.

    python -m pipelines.daily --root runs/mine                                        # up to yesterday (UTC)
    python -m pipelines.daily --root runs/mine --date 2026-05-04 --since 2026-04-01   # catch up, day by day
    python -m pipelines.daily --config pipelines/configs/demo/daily.yaml --date 2026-01-07
    kubectl apply -f platform/deploy/kuberay/daily_cron.yaml                          # every night, on KubeRay

in : tables/      pins, judgments; impressions/DAY/ and engagement/DAY/, a folder a day
     teacher/     the folder that train_teacher wrote
out: tables/      pin_text, pin_embeddings     soft_labels/date=DAY/     registry/     pin_store/NAME@HASH/
     days/DAY/    summary.html; summary.json, last: the day is done (pinrank.daily.layout has the whole picture)

A day: pin text → sample → label → on train_on: words, train, compare → embed pins → promote or hold. Each step is a job
in a process of its own, with its settings from `configs`, and skipped when it is done. Safe to kill at any point: the
same command goes on. A day that is done is done again only when files came to its log.
"""

import datetime
import logging
from typing import Literal

from pydantic import Field

from pinrank import registry
from pinrank.daily import steps
from pinrank.daily.layout import Layout
from pinrank.daily.page import decision_note, to_page
from pinrank.daily.plan import Plan, Weekday, planned, with_training, yesterday
from pinrank.daily.record import DayRecord, Step, finish, read_record
from pinrank.daily.steps import Day
from pinrank.durable import MountedFolder, exclusive, write_text
from pinrank.evaluation.promotion import Decision
from pinrank.pipeline import JobSettings, Summary, run, versions

log = logging.getLogger(__name__)


class Daily(JobSettings):
    """Settings of daily."""

    root: MountedFolder = Field(description="folder of the loop, seen by every node")
    tables: MountedFolder | None = Field(None, description="folder of pinrank's tables; null: ROOT/tables")
    logs: str | None = Field(None, description="folder or URI of impressions/DAY and engagement/DAY; null: tables")
    teacher: MountedFolder | None = Field(None, description="folder of the teacher; null: ROOT/teacher")
    configs: str = Field("pipelines/configs/full", description="folder of the jobs' settings files")
    date: datetime.date | None = Field(None, description="the last day to do; null: yesterday (UTC)")
    since: datetime.date | None = Field(
        None, description="the first day to do; null: the first that was ever done, or `date`"
    )
    missing: Literal["stop", "skip"] = Field(
        "stop", description="a day without a log: end there with an error, or pass over it until its log comes"
    )
    train_on: Weekday = Field("sunday", description="the weekday with whose log a student is trained")
    max_stale_share: float = Field(
        0.5, ge=0, le=1, description="of all labels, those of texts that have changed since: more end the training"
    )
    stores_kept: int = Field(2, ge=1, description="pin stores: of the current student and of those before it")

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        tables = self.tables or self.root / "tables"
        return Layout(self.root, tables, (self.logs or str(tables)).rstrip("/"), self.teacher or self.root / "teacher")


def main(settings: Daily) -> Summary:
    """Plan, do day by day, say what became of them."""
    layout = settings.layout
    steps.refuse_missing_configs(settings.configs)
    with exclusive(layout.root / ".daily.lock"):
        found = planned(layout, settings.since, settings.date or yesterday(now()), settings.missing)
        days = with_training(found.days, settings.train_on, registry.current(layout.registry) is not None)
        log.info("%d days to do: %s", len(days), ", ".join(str(plan.day) for plan in days))
        records = [do_day(plan, layout, settings) for plan in days]
    if found.stopped_by:
        raise found.stopped_by
    pages = [str(layout.day(record.day) / "summary.html") for record in records]
    labels = [step for record in records if (step := record.step("label_impressions"))]
    quarantined = sum(step.quarantined for record in records for step in record.steps)
    details = {"days": [str(record.day) for record in records], "pages": pages}
    return Summary(sum(step.rows_in for step in labels), sum(step.rows_out for step in labels), quarantined, details)


def do_day(plan: Plan, layout: Layout, settings: Daily) -> DayRecord:
    """All steps of one day; its summary comes last."""
    steps.set_labels_aside(plan, layout)
    begun = steps.begun_with(plan, layout)
    day = Day(plan, begun, layout, settings.configs, settings.max_stale_share)
    done = list(steps.run([*steps.label_stages(day), *(steps.train_stages(day) if begun.trains else [])], day))
    steps.keep_quarantine(day)
    decision = steps.decided(day)
    student = decision.candidate if decision and decision.promote else begun.student
    done.append(steps.refresh_embeddings(day, student))
    if decision and decision.promote:
        registry.promote(layout.registry, decision.candidate, f"{day.date}: {decision.reason}")
    steps.forget_stores(layout, settings.stores_kept)
    return conclude(day, done, decision, student)


def conclude(day: Day, done: list[Step], decision: Decision | None, student: str | None) -> DayRecord:
    """Write the page and the summary, and remove what only an unfinished day needs."""
    before = read_record(day.folder)
    record = DayRecord(
        day=day.date,
        finished_at=now(),
        times_done=before.times_done + 1 if before else 1,
        log=day.plan.log.files,
        steps=tuple(done),
        teacher=registry.version_of(day.layout.teacher),
        student_before=day.begun.student,
        student=student,
        decision=decision,
        versions=versions(),
    )
    write_text(day.folder / "summary.html", to_page(record))
    finish(day.folder, record)
    steps.clear(day)
    log.info("%s is done. %s", day.date, decision_note(record))
    return record


def now() -> datetime.datetime:
    """This moment, UTC."""
    return datetime.datetime.now(datetime.UTC)


if __name__ == "__main__":
    run(main, Daily)
