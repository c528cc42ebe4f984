"""Read human judgments, and the impressions beside them, into pinrank's tables.

    python -m pipelines.import_judgments --config pipelines/configs/demo/import_judgments.yaml
    python -m pipelines.import_judgments --data FOLDER --output runs/mine/tables --level-map 0:1,1:3,2:5
    python -m pipelines.import_judgments --data WANDS --output runs/wands/tables      # a data set as its owner has it

in : a folder with queries, items and judgements .parquet, optionally pool_items and impressions, or a data set in the
     layout of its owner: Amazon ESCI, WANDS, Home Depot, CrowdFlower (docs/data.md)
out: pins/  judgments/  impressions/  quarantine/FILE/ (rows that could not be used, with the reason)
"""

import logging

from pydantic import Field, field_validator

from pinrank.datasets import layouts
from pinrank.datasets.relevance import Imported, check, drop_unused_pins, limit_impressions, read
from pinrank.datasets.world import forget_generated
from pinrank.levels import parse_map
from pinrank.parquet import remove_folder, write_folder
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.tables import IMPRESSIONS, JUDGMENTS, PINS, write

log = logging.getLogger(__name__)


class ImportJudgments(JobSettings):
    """Settings of import_judgments."""

    data: str = Field("../shared/data/relevance", description="folder of the judgments")
    layout: layouts.Name = Field("auto", description="how that folder is laid out; auto: as its files say")
    output: str = Field("runs/demo/tables", description="folder of pinrank's tables")
    level_map: str = Field(
        "", description="grades as levels, e.g. 0:1,1:3,2:5; empty: column 'level', or the layout's map"
    )
    max_impressions: int | None = Field(None, ge=0, description="keep this many impressions, chosen by hash; null: all")
    pins_used_only: bool = Field(False, description="leave out pins that no judgment and no kept impression names")
    seed: int = Field(0, ge=0, description="of the choice of impressions")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="of a file's rows; more of them is an error")

    @field_validator("level_map")
    @classmethod
    def _is_a_map(cls, text: str) -> str:
        if text:
            parse_map(text)
        return text


def main(settings: ImportJudgments) -> Summary:
    """Read, reduce to what the profile wants, write."""
    imported = _read(settings)
    if settings.max_impressions is not None:
        imported = limit_impressions(imported, settings.max_impressions, settings.seed)
    if settings.pins_used_only:
        imported = drop_unused_pins(imported)
    _write(imported, settings.output)
    return _summary(imported)


def _read(settings: ImportJudgments) -> Imported:
    level_map = parse_map(settings.level_map) if settings.level_map else None
    found = layouts.find(settings.data, settings.layout)
    if found is None:
        log.info("reading %s", settings.data)
        return read(settings.data, level_map=level_map, max_quarantined_share=settings.max_quarantined_share)
    layout, folder = found
    log.info("reading %s: %s. Its licence: %s", folder, layout.title, layout.licence)
    return check(
        layout.read(folder),
        level_map=level_map or layout.levels,
        max_quarantined_share=settings.max_quarantined_share,
    )


def _write(imported: Imported, output: str) -> None:
    if forget_generated(output):
        log.warning("%s held a generated world; its engagement log is removed", output)
    for rows, table in ((imported.pins, PINS), (imported.judgments, JUDGMENTS), (imported.impressions, IMPRESSIONS)):
        log.info("writing %s: %d rows", table.name, rows.num_rows)
        write(rows, f"{output}/{table.name}", table)
    for file, record in imported.quarantined.items():
        folder = f"{output}/quarantine/{file}"
        if record.num_rows:
            log.warning("%d rows of %s are in %s", record.num_rows, file, folder)
            write_folder(record, folder)
        else:
            remove_folder(folder)


def _summary(imported: Imported) -> Summary:
    tables = {"pins": imported.pins, "judgments": imported.judgments, "impressions": imported.impressions}
    rows = {name: table.num_rows for name, table in tables.items()}
    splits = imported.judgments.column("split").value_counts().to_pylist()
    return Summary(
        rows_in=imported.rows_in,
        rows_out=sum(rows.values()),
        quarantined=sum(record.num_rows for record in imported.quarantined.values()),
        details={**rows, **imported.counts, "judgments_by_split": {each["values"]: each["counts"] for each in splits}},
    )


if __name__ == "__main__":
    run(main, ImportJudgments)
