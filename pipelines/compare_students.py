"""Hold a candidate student against the current one on human dev judgments, and say whether it may take its place.

    python -m pipelines.compare_students --config pipelines/configs/demo/compare_students.yaml
    python -m pipelines.compare_students --candidate runs/new/student --current runs/old/student --output runs/choice
    python -m pipelines.compare_students --config ... --promotion.metric spearman --promotion.margin 0.01

in : tables/     judgments (only those of dev) and pin_text
     candidate/  current/ (may be left out: there is none yet)   the folders of two students
out: OUTPUT/report.json .md .html   every metric of both with 95% intervals, and the paired differences
     OUTPUT/decision.json           promote or hold, and why; written last. Nothing is promoted here.
"""

import json
import logging
from pathlib import Path

import pyarrow.compute as pc
from pydantic import Field

from pinrank import tables
from pinrank.datasets.world import MARK
from pinrank.durable import MountedFolder, write_text
from pinrank.evaluation.comparison import Report
from pinrank.evaluation.judged import from_logits
from pinrank.evaluation.promotion import DECISION, SPLIT, Decision, PromotionSettings, Student, decide
from pinrank.evaluation.report_files import write_files
from pinrank.evaluation.task import Task, from_tables
from pinrank.evaluation.trial import GENERATED
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, Summary, run, versions
from pinrank.student.export import open_student
from pinrank.student.feature_tables import tables_of

log = logging.getLogger(__name__)

ON_DEV = "Measured on dev, on which both students also chose their epoch: fit for choosing, not for reporting."


class CompareStudents(JobSettings):
    """Settings of compare_students."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: judgments and pin_text")
    candidate: Path = Field(description="folder of the student that may become the current one")
    current: Path | None = Field(None, description="folder of the current student; null: there is none yet")
    output: MountedFolder = Field(description="folder of the report and the decision")
    promotion: PromotionSettings = Field(PromotionSettings(), description="by what it is decided")
    max_pairs_per_source: int | None = Field(None, ge=1, description="cap on dev pairs of one source")


def main(settings: CompareStudents) -> Summary:
    """Grade the dev judgments with both, decide, write."""
    task = read(settings)
    candidate = graded(settings.candidate, task, settings.tables)
    current = graded(settings.current, task, settings.tables) if settings.current else None
    decision = decide(task.judged, candidate, current, settings.promotion)
    log.info("%s: %s, as %s", decision.candidate, "promote" if decision.promote else "hold", decision.reason)
    write(decision, settings)
    details = {"promote": decision.promote, "reason": decision.reason, "candidate": decision.candidate}
    return Summary(len(task.pairs), len(task.pairs), details=details | {"current": decision.current})


def read(settings: CompareStudents) -> Task:
    """The judged pairs of dev with their pins. Raises JudgmentError when there are none."""
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
    texts = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT)
    judged_pins = texts.filter(pc.is_in(texts.column("pin_id"), judgments.column("pin_id").combine_chunks()))
    return from_tables(judgments, judged_pins.to_pylist(), SPLIT, settings.max_pairs_per_source)


def graded(folder: Path, task: Task, tables_folder: str) -> Student:
    """What the student of a folder says of the pairs. Raises ModelError when it holds none."""
    student = open_student(folder)
    log.info("%s grades %d pairs", student.version, len(task.pairs))
    told = student.with_tables(tables_of(student.spec, tables_folder))
    logits_NL = told.grade(task.pairs, locales=task.judged.locales_N.tolist())
    return Student(student.version, from_logits(logits_NL, student.calibration.calibrated(logits_NL)))


def write(decision: Decision, settings: CompareStudents) -> None:
    """The report, then the decision."""
    notes = [f"{'Promote' if decision.promote else 'Hold'} {decision.candidate}: {decision.reason}.", ON_DEV]
    if exists(f"{settings.tables}/{MARK}"):
        notes.append(GENERATED)
    report = Report("A candidate student", (decision.section,), {}, tuple(notes))
    record = {"settings": settings.model_dump(mode="json"), "versions": versions()}
    write_files(report, record, settings.output, "report")
    content = DECISION.dump_python(decision, mode="json")
    write_text(settings.output / "decision.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(main, CompareStudents)
