"""Measure the baselines (BM25, the frozen bi-encoder, the search embedding), the teacher and the student.

    python -m pipelines.evaluate --config pipelines/configs/demo/evaluate.yaml                    # a run's test split
    python -m pipelines.evaluate --judgments DIR --teacher DIR --student DIR --output FILE.json   # other judgments
    python -m pipelines.evaluate --judgments DIR --tables runs/demo/tables --output FILE.json     # with levels

in : tables/        judgments and pin_text of a run: its test split is measured, its dev split gives baselines levels
     judgments      a folder with queries, items and judgements .parquet in the public form (docs/tables.md): all its
                    judgments are measured, whatever their split. Or another judgments table on the pins of tables/.
     teacher/ student/ search_embedding/   each may be left out
out: FILE.json      metrics by segment and system with 95% intervals, by locale, differences, floors, counts, versions;
                    quarantine/FILE/ beside it, when a folder in the public form has rows that cannot be used
"""

import json
import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator
from rich.console import Console

from pinrank import tables
from pinrank.durable import write_text
from pinrank.errors import SettingsError
from pinrank.evaluation import task as tasks
from pinrank.evaluation.report import ReportSettings, print_report, report
from pinrank.evaluation.systems import (
    FrozenSettings,
    Systems,
    grade_baselines,
    grade_student,
    grade_teacher,
    model_versions,
)
from pinrank.evaluation.task import Task
from pinrank.levels import parse_map
from pinrank.parquet import write_folder
from pinrank.pipeline import JobSettings, Summary, run, versions
from pinrank.teacher.score import EngineSettings

log = logging.getLogger(__name__)


class Evaluate(JobSettings):
    """Settings of evaluate."""

    tables: str | None = Field(None, description="folder of a run's tables: judgments and pin_text")
    judgments: str | None = Field(None, description="folder of judgments in the public form; null: those of tables")
    teacher: str | None = Field(None, description="the teacher's folder; null: left out")
    student: str | None = Field(None, description="the student's folder; null: left out")
    search_embedding: str | None = Field(None, description="the search embedding's folder, a baseline; null: left out")
    output: Path = Field(description="the JSON file to write")
    engine: EngineSettings = Field(EngineSettings(name="transformers"), description="what runs the teacher")
    frozen: FrozenSettings = Field(FrozenSettings(), description="the frozen bi-encoder")
    report: ReportSettings = Field(ReportSettings(), description="segments and intervals")
    max_dev_pairs_per_source: int = Field(400, ge=10, description="dev pairs from which baselines learn their levels")
    level_map: str = Field("", description="grades of --judgments as levels, e.g. 0:1,1:3,2:5; empty: they are 1..5")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="of a file's rows; more of them is an error")

    @field_validator("level_map")
    @classmethod
    def _is_a_map(cls, text: str) -> str:
        if text:
            parse_map(text)
        return text

    @model_validator(mode="after")
    def _has_judgments(self) -> "Evaluate":
        if self.tables is None and self.judgments is None:
            raise ValueError("give --tables RUN/tables (its test split), or --judgments DIR (all its judgments)")
        return self


def main(settings: Evaluate) -> Summary:
    """Read the pairs, let every system grade them, measure, write, print."""
    refuse_unwritable(settings.output)
    models = model_versions(settings.teacher, settings.student, settings.search_embedding)
    models |= {"frozen": settings.frozen.backbone}
    task, dev = read(settings)
    keep_quarantined(task, settings.output)
    systems = grade(task, dev, settings)
    log.info("measuring %d systems on %d pairs", len(systems.graded), len(task.pairs))
    found = report(task.judged, systems.graded, settings.report)
    complete = found | {
        "counts": counts_of(task, settings),
        "notes": systems.notes,
        "versions": versions() | models,
        "settings": settings.model_dump(mode="json"),
    }
    write(complete, settings.output)
    print_report(complete, Console(stderr=True))
    quarantined = sum(record.num_rows for record in task.quarantined.values())
    details = {"output": str(settings.output), "models": models, "segments": list(found["metrics"])}
    return Summary(len(task.pairs) + quarantined, len(task.pairs), quarantined, details)


def read(settings: Evaluate) -> tuple[Task, Task | None]:
    """The pairs to measure, and the dev pairs of the run's tables where there are any."""
    measured = dev = None
    if settings.judgments and (settings.tables is None or tasks.is_public_form(settings.judgments)):
        levels = parse_map(settings.level_map) if settings.level_map else None
        measured = tasks.from_public_form(settings.judgments, levels, settings.max_quarantined_share)
    if settings.tables:
        judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
        catalogue = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT).to_pylist()
        if "dev" in judgments.column("split").unique().to_pylist():
            dev = tasks.from_tables(judgments, catalogue, "dev", settings.max_dev_pairs_per_source)
        if measured is None:
            chosen = tables.read(settings.judgments, tables.JUDGMENTS) if settings.judgments else judgments
            measured = tasks.from_tables(chosen, catalogue, "test")
    assert measured is not None  # the settings have one or the other
    return measured, dev


def grade(task: Task, dev: Task | None, settings: Evaluate) -> Systems:
    """All systems on the same pairs."""
    systems = grade_baselines(task, dev, settings.frozen, settings.search_embedding)
    if settings.teacher:
        grade_teacher(task, settings.teacher, settings.engine, systems)
    if settings.student:
        grade_student(task, settings.student, systems, settings.tables)
    return systems


def counts_of(task: Task, settings: Evaluate) -> dict[str, Any]:
    """What was measured, and how much of it the models may have seen."""
    counts: dict[str, Any] = {
        "pairs": len(task.pairs),
        "queries": len(set(task.judged.queries_N.tolist())),
        "pins": len({pin["pin_id"] for _, pin in task.pairs}),
        "pairs_by_source": dict(Counter(task.judgments.column("source").to_pylist())),
        "pairs_by_level": dict(sorted(Counter(task.judgments.column("level").to_pylist()).items())),
        "quarantined": {name: record.num_rows for name, record in task.quarantined.items()},
    }
    if settings.tables:
        judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS, ["query", "split"])
        for split in ("train", "dev"):
            seen = [row["query"] for row in judgments.to_pylist() if row["split"] == split]
            counts[f"pairs_with_a_{split}_query"] = tasks.num_with_query_among(task, seen)
    return counts


def refuse_unwritable(output: Path) -> None:
    """Raise SettingsError when the output cannot be written, before minutes of grading."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise SettingsError(f"{output}: cannot be written ({cause.strerror}). Choose another --output.") from cause
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        raise SettingsError(f"{output}: is a folder, or lies in one that cannot be written. Choose another --output.")


def keep_quarantined(task: Task, output: Path) -> None:
    """Write the rows that could not be used, with their reasons, beside the output."""
    for name, record in task.quarantined.items():
        if record.num_rows:
            folder = f"{output.parent}/quarantine/{name}"
            log.warning("%d rows of %s cannot be used; they are in %s", record.num_rows, name, folder)
            write_folder(record, folder)


def write(complete: dict[str, Any], output: Path) -> None:
    """Write the JSON in one rename."""
    write_text(output, json.dumps(complete, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


if __name__ == "__main__":
    run(main, Evaluate)
