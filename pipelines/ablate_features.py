"""Train one student without each group of features, to see which groups are worth having.

    python -m pipelines.ablate_features --config pipelines/configs/demo/ablate_features.yaml                # on dev
    python -m pipelines.ablate_features --config ... --feature_spec feature_spec.yaml --seeds '[0, 1, 2]'

in : soft_labels/   query, pin_id, logits float32[5] (L1..L5), weight, teacher, fingerprint; any number of folders
     tables/        judgments (train and dev to train on, the split to measure on), pin_text, what feature_spec names
out: OUTPUT/students/ROW/seed-N/         the students
     OUTPUT/report-SPLIT.json .md .html  all features; all but one group a row; none; with 95% intervals and the paired
                                         difference against all
Safe to kill at any point: a student that is trained already under the same settings is only graded.
"""

import logging
from collections.abc import Iterator, Mapping

from pydantic import Field

from pinrank.errors import SettingsError
from pinrank.evaluation.comparison import Report, Section, section
from pinrank.evaluation.feature_ablation import FeatureRow, rows_of
from pinrank.evaluation.report import segments
from pinrank.evaluation.report_files import write_files
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


class AblateFeatures(StudentTrialSettings):
    """Settings of ablate_features."""

    max_soft_labels: int | None = Field(None, ge=1, description="learn from so many labels, chosen by pair key")


def main(settings: AblateFeatures) -> Summary:
    """Train and grade row by row, measure, write."""
    rows = rows_of(read_declaration(settings.feature_spec))
    if len(rows) == 1:
        raise SettingsError("feature_spec declares no feature, so there is none to leave out. Name another.")
    with alone(settings):
        data = read(settings)
        labels = labels_of(settings, settings.max_soft_labels)
        cells = {row.name: Cell(row.folder, settings.student, labels, row.declared) for row in rows}
        tried = try_rows(cells, data, settings)
        report = Report(
            title=f"What the features give, on {settings.split}",
            sections=tuple(sections(rows, tried, data, settings)),
            facts={row: facts_of(found) for row, found in tried.items()},
            notes=warnings(settings),
        )
        record = {"versions": versions(), "settings": settings.model_dump(mode="json")}
        files = write_files(report, record, settings.output, f"report-{settings.split}")
    details = {"report": files, **trained(tried)}
    return Summary(data.num_train_judgments, len(data.task.pairs), details=details)


def sections(
    rows: list[FeatureRow], tried: Mapping[str, Mapping[int, Tried]], data: StudentData, settings: AblateFeatures
) -> Iterator[Section]:
    """All pairs, then each source where there are several."""
    gains = {row.name: row.against for row in rows if row.against}
    parts = list(segments(data.task.judged, ()))
    for name, pairs in parts if len(parts) > 2 else parts[:1]:
        measures = measured(tried, data.task, pairs, settings)
        judged = data.task.judged.take(pairs)
        yield section(name, judged, measures, {"Difference against": gains}, with_facts=name == "overall")


if __name__ == "__main__":
    run(main, AblateFeatures)
