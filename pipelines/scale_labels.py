"""Train a student on ever more soft labels, to see what they add to human judgments alone.

    python -m pipelines.scale_labels --config pipelines/configs/demo/scale_labels.yaml                 # on dev
    python -m pipelines.scale_labels --config pipelines/configs/full/scale_labels.yaml --split test
    python -m pipelines.scale_labels --config ... --multiples '[1, 10, 100]' --seeds '[0, 1, 2]'

in : soft_labels/   query, pin_id, logits float32[5] (L1..L5), weight, teacher, fingerprint; any number of folders
     tables/        judgments (train and dev to train on, the split to measure on) and pin_text
out: OUTPUT/students/ROW/seed-N/         the students
     OUTPUT/report-SPLIT.json .md .html  every metric of every row with 95% intervals, the paired difference against the
                                         student of human judgments alone, and a curve a metric
Safe to kill at any point: a student that is trained already under the same settings is only graded.
"""

import logging
from collections.abc import Iterator, Mapping

from pydantic import Field

from pinrank.evaluation.comparison import Report, Section, against, section
from pinrank.evaluation.report import segments
from pinrank.evaluation.report_files import write_files
from pinrank.evaluation.scaling import HUMAN_ONLY, steps, to_page
from pinrank.evaluation.student_trial import (
    Cell,
    StudentData,
    StudentTrialSettings,
    Tried,
    alone,
    facts_of,
    labels_of,
    measured,
    read,
    trained,
    try_rows,
    warnings,
)
from pinrank.pipeline import Summary, run, versions
from pinrank.student.declaration import read_declaration

log = logging.getLogger(__name__)


class ScaleLabels(StudentTrialSettings):
    """Settings of scale_labels."""

    multiples: tuple[int, ...] = Field(
        (1, 3, 10, 30, 100),
        min_length=1,
        description="of the base: how many labels the rows learn",
    )
    base: int | None = Field(None, ge=1, description="labels at 1x; null: as many as there are human train judgments")
    subsets: tuple[str, ...] = Field(
        ("cxc:c2i_intrasim",), description="SOURCE:PAIR_TYPE tables beside those of all pairs and of each source"
    )


def main(settings: ScaleLabels) -> Summary:
    """Train and grade row by row, measure, write."""
    with alone(settings):
        data = read(settings)
        rows, notes = rows_of(data, settings)
        tried = try_rows(rows, data, settings)
        report = Report(
            title=f"What labels add to human judgments, on {settings.split}",
            sections=tuple(sections(tried, data, settings)),
            facts={row: facts_of(found) for row, found in tried.items()},
            notes=(*notes, *warnings(settings)),
        )
        record = {"versions": versions(), "settings": settings.model_dump(mode="json")}
        labels = {row: cell.labels.num_rows for row, cell in rows.items() if cell.labels}
        files = write_files(
            report,
            record,
            settings.output,
            f"report-{settings.split}",
            page=lambda report, record: to_page(report, record, labels),
        )
    details = {"report": files, "labels": labels, **trained(tried)}
    return Summary(data.num_train_judgments, len(data.task.pairs), details=details)


def rows_of(data: StudentData, settings: ScaleLabels) -> tuple[dict[str, Cell], list[str]]:
    """The rows, human judgments alone first, and what is to be said of them."""
    every, declared = labels_of(settings), read_declaration(settings.feature_spec)
    base = settings.base or data.num_train_judgments
    wanted, short = steps(settings.multiples, base, every.num_rows)
    rows = {HUMAN_ONLY: Cell("human_only", settings.student, None, declared)}
    for step in wanted:
        cell = f"labels-{step.num_labels}"
        rows[step.name] = Cell(cell, settings.student, labels_of(settings, step.num_labels), declared)
    notes = [f"1x is {base:,} labels; {HUMAN_ONLY} learns {data.num_train_judgments:,} judgments."]
    if short:
        named = ", ".join(f"{multiple}x" for multiple in short)
        notes.append(f"There are {every.num_rows:,} labels, too few for {named}: label more pairs to see these rows.")
    return rows, notes


def sections(tried: Mapping[str, Mapping[int, Tried]], data: StudentData, settings: ScaleLabels) -> Iterator[Section]:
    """All pairs, each source, and the subsets."""
    parts = list(segments(data.task.judged, settings.subsets))
    for name, pairs in parts if len(parts) > 2 else parts[:1]:
        measures = measured(tried, data.task, pairs, settings)
        contrasts = {"Difference against": against(tried, HUMAN_ONLY)}
        yield section(name, data.task.judged.take(pairs), measures, contrasts, with_facts=name == "overall")


if __name__ == "__main__":
    run(main, ScaleLabels)
