"""Read a log of searches, as its system writes it or its owner publishes it, into pinrank's tables.

    python -m pipelines.import_logs --data LOGS --output runs/mine/tables --locale en
    python -m pipelines.import_logs --data LOGS --output runs/mine/tables --by_day              # as daily reads it
    python -m pipelines.import_logs --data LOGS_OF_A_DAY --output runs/mine/tables --date 2026-05-04
    python -m pipelines.import_logs --data unsplash-lite --output runs/unsplash/tables

in : a folder with OpenSearch UBI files, ubi_queries* and ubi_events*, or with Unsplash Lite (docs/data.md)
out: impressions/  engagement/  quarantine/FILE/ (rows that could not be used, with the reason)
     with by_day or date: impressions/DAY/  engagement/DAY/
     with Unsplash also pins/, and an empty judgments/ where there is none: nobody graded anything
"""

import datetime
import logging

from pydantic import Field, field_validator, model_validator

from pinrank.datasets import log_layouts
from pinrank.datasets.log_days import write_day, write_days
from pinrank.datasets.search_log import SearchLog, refuse_too_many_broken
from pinrank.datasets.world import forget_generated
from pinrank.parquet import exists, remove_folder, write_folder
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS, write

log = logging.getLogger(__name__)


class ImportLogs(JobSettings):
    """Settings of import_logs."""

    data: str = Field(description="folder of the log")
    layout: log_layouts.Name = Field("auto", description="how that folder is laid out; auto: as its files say")
    output: str = Field("runs/demo/tables", description="folder of pinrank's tables")
    by_day: bool = Field(False, description="cut the log into a folder a day (UTC), impressions/DAY, as daily reads it")
    date: datetime.date | None = Field(
        None, description="the log is this day's: it takes the place of impressions/DAY and engagement/DAY"
    )
    locale: str = Field("", description="of all queries of a UBI log, which does not say it, e.g. en")
    actions: dict[str, str] | None = Field(
        None, description="names of a UBI log's actions as ours, e.g. {open: click, like: save}; null: docs/data.md"
    )
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="of a file's rows; more of them is an error")

    @field_validator("data")
    @classmethod
    def _is_named(cls, data: str) -> str:
        return data.rstrip("/")

    @model_validator(mode="after")
    def _is_cut_in_one_way(self) -> "ImportLogs":
        if self.by_day and self.date:
            raise ValueError("by_day cuts a log of many days, date names the only one; give one of them")
        return self


def main(settings: ImportLogs) -> Summary:
    """Find the layout, read, write."""
    layout = log_layouts.find(settings.data, settings.layout)
    log.info("reading %s: %s. Its licence: %s", settings.data, layout, log_layouts.LICENCES[layout])
    found = log_layouts.read(settings.data, layout, settings.locale, settings.actions)
    refuse_too_many_broken(found, settings.max_quarantined_share)
    _write(found, settings)
    rows = {"impressions": found.impressions.num_rows, "engagement": found.engagement.num_rows}
    if found.pins is not None:
        rows["pins"] = found.pins.num_rows
    return Summary(
        rows_in=found.rows_in,
        rows_out=sum(rows.values()),
        quarantined=sum(each.record.num_rows for each in found.broken.values()),
        details={**rows, **found.counts},
    )


def _write(found: SearchLog, settings: ImportLogs) -> None:
    output = settings.output
    if forget_generated(output):
        log.warning("%s held a generated world; its engagement log is removed", output)
    tables = {IMPRESSIONS: found.impressions, ENGAGEMENT: found.engagement}
    if settings.by_day:
        log.info("the log's days: %s", ", ".join(map(str, write_days(tables, output))))
    elif settings.date:
        write_day(tables, output, settings.date)
    else:
        for table, rows in tables.items():
            write(rows, f"{output}/{table.name}", table)
    if found.pins is not None:
        write(found.pins, f"{output}/pins", PINS)
        if not exists(f"{output}/judgments"):
            write(JUDGMENTS.schema.empty_table(), f"{output}/judgments", JUDGMENTS)
    for file, broken in found.broken.items():
        folder = f"{output}/quarantine/{file}"
        if broken.record.num_rows:
            log.warning("%d rows of %s are in %s", broken.record.num_rows, file, folder)
            write_folder(broken.record, folder)
        else:
            remove_folder(folder)


if __name__ == "__main__":
    run(main, ImportLogs)
