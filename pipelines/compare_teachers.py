"""Train a list of backbones, or take teachers and judges as they are, and hold them against each other in one table.

    python -m pipelines.compare_teachers --config pipelines/configs/demo/compare_teachers.yaml               # on test
    python -m pipelines.compare_teachers --config pipelines/configs/demo/compare_teachers.yaml --split dev   # to choose

in : tables/    judgments (train and dev to train on, the split to measure on) and pin_text of a run
out: OUTPUT/teachers/NAME/               the teachers that were trained here
     OUTPUT/report-SPLIT.json .md .html  accuracy, AUROC 3+ 4+ 5+, QWK, nDCG@20 and Spearman with 95% intervals,
                                         parameters, pairs/s, cost; paired differences against the first row
                                         and against the best
Safe to kill at any point: the same command goes on with the row that it was in. A row that is trained already under the
same settings is only graded, so a second split costs no training.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pinrank.backbones import refuse_foreign_code
from pinrank.errors import SettingsError
from pinrank.evaluation.comparison import (
    Metric,
    Report,
    Section,
    against,
    best_row,
    measure_rows,
    section,
    take,
)
from pinrank.evaluation.judged import Graded, Judged
from pinrank.evaluation.report import segments
from pinrank.evaluation.systems import FrozenSettings, Systems, grade_baselines
from pinrank.evaluation.task import from_tables
from pinrank.evaluation.trial import (
    ComparisonSettings,
    Data,
    Trial,
    alone,
    conclude,
    grade,
    read,
    try_teacher,
)
from pinrank.pipeline import Summary, run
from pinrank.teacher.card import read_card
from pinrank.teacher.overrides import overridden
from pinrank.teacher.settings import TeacherSettings

log = logging.getLogger(__name__)

ELSEWHERE = "Trained elsewhere, so whether they have seen the measured pairs is not known here: {}."
BASELINES = ("bm25", "frozen")


class Row(BaseModel):
    """One row: a teacher to train, as changes of the settings that all rows share, or the folder of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w[\w.+-]*$", description="in the table, and of the teacher's folder")
    teacher: dict[str, Any] = Field({}, description="what is other than in the job's `teacher`, e.g. backbone: NAME")
    folder: str | None = Field(None, description="a teacher that is trained already; null: train one")

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> "Row":
        if self.folder and self.teacher:
            raise ValueError(f"row '{self.name}': give settings under `teacher`, or a `folder`, not both")
        return self


class CompareTeachers(ComparisonSettings):
    """Settings of compare_teachers."""

    rows: tuple[Row, ...] = Field(min_length=1, description="the teachers; differences are taken against the first")
    best_by: Metric = Field("spearman", description="the metric whose best row is the second one to be held against")
    baselines: bool = Field(True, description="BM25 and the frozen bi-encoder as two more rows")
    frozen: FrozenSettings = Field(FrozenSettings(), description="the frozen bi-encoder")
    max_level_pairs_per_source: int = Field(400, ge=10, description="dev pairs from which baselines learn levels")

    @model_validator(mode="after")
    def _rows_can_be_trained(self) -> "CompareTeachers":
        counts = Counter((*(row.name for row in self.rows), *(BASELINES if self.baselines else ())))
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"two rows are named {', '.join(twice)}; give each a name of its own")
        for row in self.rows:
            self.teacher_of(row)
        return self

    def teacher_of(self, row: Row) -> TeacherSettings:
        """The settings by which a row is trained; SettingsError when its changes make none."""
        try:
            return overridden(self.teacher, row.teacher)
        except SettingsError as cause:
            raise SettingsError(f"row '{row.name}': {cause}") from cause


def main(settings: CompareTeachers) -> Summary:
    """Train and grade row by row, measure, write."""
    refuse_unusable(settings)
    with alone(settings):
        data = read(settings)
        trials = {}
        for number, row in enumerate(settings.rows, start=1):
            log.info("row %d of %d: %s", number, len(settings.rows), row.name)
            trials[row.name] = try_row(row, data, settings)
        systems = baselines(data, settings) if settings.baselines else Systems()
        graded = {name: trial.graded for name, trial in trials.items()} | systems.graded
        log.info("measuring %d rows on %d pairs", len(graded), len(data.task.pairs))
        report = Report(
            title=f"Teachers compared on {settings.split}",
            sections=tuple(sections(data.task.judged, graded, settings)),
            facts={name: trial.facts for name, trial in trials.items()},
            notes=notes(settings, systems),
        )
        return conclude(report, trials, data, settings)


def refuse_unusable(settings: CompareTeachers) -> None:
    """Raise ModelError for a folder without a teacher or a backbone that cannot be had, before hours of training."""
    for row in settings.rows:
        if row.folder:
            read_card(row.folder)
    for teacher in (settings.teacher_of(row) for row in settings.rows if not row.folder):
        refuse_foreign_code(teacher.backbone, teacher.allow_auto_map)


def try_row(row: Row, data: Data, settings: CompareTeachers) -> Trial:
    """A row's grades; its teacher is trained first where it has no folder."""
    if row.folder:
        return grade(row.folder, data, settings)
    return try_teacher(row.name, settings.teacher_of(row), data, settings)


def baselines(data: Data, settings: CompareTeachers) -> Systems:
    """BM25 and the frozen bi-encoder, with levels from dev, but without any where dev itself is measured."""
    dev = None
    if settings.split != "dev":
        dev = from_tables(data.judgments, data.task.catalogue, "dev", settings.max_level_pairs_per_source)
    return grade_baselines(data.task, dev, settings.frozen)


def sections(judged: Judged, graded: dict[str, Graded], settings: CompareTeachers) -> Iterator[Section]:
    """All pairs, then each source where there are several; the best row overall is the best everywhere."""
    first, best = settings.rows[0].name, ""
    parts = list(segments(judged, ()))
    for name, rows in parts if len(parts) > 2 else parts[:1]:
        part = judged.take(rows)
        measures = measure_rows(part, take(graded, rows), settings.bootstrap)
        best = best or best_row(measures, settings.best_by)
        contrasts = {"Against the first row": against(graded, first)}
        if best != first:
            contrasts[f"Against the best row by {settings.best_by}"] = against(graded, best)
        yield section(name, part, measures, contrasts, with_facts=name == "overall")


def notes(settings: CompareTeachers, systems: Systems) -> tuple[str, ...]:
    """What a reader must know of single rows."""
    elsewhere = [row.name for row in settings.rows if row.folder]
    found = [ELSEWHERE.format(", ".join(elsewhere))] if elsewhere else []
    return (*found, *(f"{name}: {note}" for name, note in systems.notes.items()))


if __name__ == "__main__":
    run(main, CompareTeachers)
