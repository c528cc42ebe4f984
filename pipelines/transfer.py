"""Train on the judgments of some query locales and test on the others, beside a teacher trained on all.

    python -m pipelines.transfer --config pipelines/configs/demo/transfer.yaml
    python -m pipelines.transfer --config pipelines/configs/demo/transfer.yaml --train_locales '["en", "pt"]'

in : tables/    judgments (train and dev to train on, the split to measure on) and pin_text of a run
out: OUTPUT/teachers/some, all/          the two teachers
     OUTPUT/report-SPLIT.json .md .html  a table for the locales trained on and for each other locale; those with few
                                         pairs are pooled as "other"
The pairs of the first teacher are some of the pairs of the second, so that the difference is what the other locales'
judgments add. Safe to kill at any point.
"""

import logging
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from pinrank.errors import JudgmentError
from pinrank.evaluation.comparison import Report, Section, against, locale_groups, measure_rows, section, take
from pinrank.evaluation.trial import (
    ComparisonSettings,
    Data,
    Trial,
    alone,
    conclude,
    examples_of,
    read,
    train_and_grade,
)
from pinrank.pipeline import Summary, run
from pinrank.teacher.settings import TeacherSettings

log = logging.getLogger(__name__)


class Transfer(ComparisonSettings):
    """Settings of transfer."""

    train_locales: tuple[str, ...] = Field(
        ("en",), min_length=1, description="query locales of the train and dev judgments that the first teacher sees"
    )
    min_locale_pairs: int = Field(50, ge=2, description="a locale with fewer measured pairs is pooled as 'other'")

    @field_validator("teacher")
    @classmethod
    def _learns(cls, teacher: TeacherSettings) -> TeacherSettings:
        if teacher.kind == "judge":
            raise ValueError("a judge learns nothing, so there is nothing to transfer; compare it in compare_teachers")
        return teacher


def main(settings: Transfer) -> Summary:
    """Train both teachers, grade, measure by locale, write."""
    with alone(settings):
        data = read(settings)
        everything = examples_of(data, settings.teacher.text, settings)
        some = of_locales(everything, settings.train_locales)
        refuse_without_others(data, settings)
        trials = {}
        for name, folder, examples in (
            (f"trained on {', '.join(settings.train_locales)}", "some", some),
            ("trained on all locales", "all", everything),
        ):
            log.info("%s: %d pairs", name, examples.num_rows)
            trials[name] = train_and_grade(folder, examples, settings.teacher, data, settings)
        report = Report(
            title=f"From {', '.join(settings.train_locales)} to other locales, on {settings.split}",
            sections=tuple(sections(trials, data, settings)),
            facts={name: trial.facts for name, trial in trials.items()},
        )
        return conclude(report, trials, data, settings)


def of_locales(examples: pa.Table, locales: tuple[str, ...]) -> pa.Table:
    """The examples of queries in these locales; JudgmentError where train or dev has none."""
    found = examples.filter(pc.is_in(examples["query_locale"], pa.array(locales)))
    for split in ("train", "dev"):
        if split not in found["split"].to_pylist():
            known = ", ".join(sorted({locale or "unknown" for locale in examples["query_locale"].to_pylist()}))
            raise JudgmentError(
                f"judgments: no {split} pair has a query locale among {', '.join(locales)} (found: {known}). Set "
                "--train_locales to locales that have both train and dev pairs."
            )
    return found


def refuse_without_others(data: Data, settings: Transfer) -> None:
    """Raise JudgmentError when every measured pair is of a locale that is trained on."""
    if set(data.task.judged.locales_N.tolist()) <= set(settings.train_locales):
        raise JudgmentError(
            f"judgments: every {settings.split} pair is of {', '.join(settings.train_locales)}, so there is no locale "
            "to transfer to. Take one of them out of --train_locales."
        )


def sections(trials: dict[str, Trial], data: Data, settings: Transfer) -> Iterator[Section]:
    """One table a group of locales, the first one with what the rows are and cost."""
    judged, reference = data.task.judged, list(trials)[-1]
    groups = locale_groups(judged, settings.train_locales, settings.min_locale_pairs)
    for number, (name, rows) in enumerate(groups):
        part = judged.take(rows)
        graded = take({row: trial.graded for row, trial in trials.items()}, rows)
        measures = measure_rows(part, graded, settings.bootstrap)
        yield section(name, part, measures, {"Against": against(graded, reference)}, with_facts=number == 0)


if __name__ == "__main__":
    run(main, Transfer)
