"""Train one teacher a set of text fields, to see which fields are worth their tokens.

    python -m pipelines.ablate_text_fields --config pipelines/configs/demo/ablate_text_fields.yaml    # on dev
    python -m pipelines.ablate_text_fields --config pipelines/configs/full/ablate_text_fields.yaml --split test

in : tables/    judgments (train and dev to train on, the split to measure on) and pin_text of a run
out: OUTPUT/teachers/FIELDS/             one teacher a set of fields
     OUTPUT/report-SPLIT.json .md .html  caption only, then one group of fields more a row, with the gain over the row
                                         before; all fields, then one group fewer, with the gain over all
A group without text in any judged pin is named in the report and not trained. Safe to kill at any point.
"""

import logging

from pinrank.errors import JudgmentError
from pinrank.evaluation import field_ablation
from pinrank.evaluation.comparison import Report, Section, measure_rows, section
from pinrank.evaluation.field_ablation import FieldRow
from pinrank.evaluation.trial import ComparisonSettings, Data, Trial, alone, conclude, examples_of, read, try_teacher
from pinrank.pipeline import Summary, run
from pinrank.teacher.overrides import overridden

log = logging.getLogger(__name__)


class AblateTextFields(ComparisonSettings):
    """Settings of ablate_text_fields. A field whose budget is 0 in `teacher.text.budgets` is off in every row."""


def main(settings: AblateTextFields) -> Summary:
    """Train and grade each set of fields once, measure both tables, write."""
    with alone(settings):
        data = read(settings)
        filled = filled_shares(data, settings)
        parts = parts_of(filled, settings)
        rows = [row for part in parts.values() for row in part]
        trials = try_all(rows, data, settings)
        report = Report(
            title=f"What the text fields give, on {settings.split}",
            sections=tuple(section_of(title, part, trials, data, settings) for title, part in parts.items()),
            facts={row.name: trials[row.folder].facts for row in rows},
            notes=field_ablation.notes(settings.teacher.text.budgets, filled),
            filled=filled,
        )
        return conclude(report, trials, data, settings)


def filled_shares(data: Data, settings: AblateTextFields) -> dict[str, dict[str, float]]:
    """The share of pins with text in each field, among those trained on and those measured."""
    trained_on = examples_of(data, settings.teacher.text, settings)["pin_id"].to_pylist()
    measured = {pin["pin_id"] for _, pin in data.task.pairs}
    shares = field_ablation.filled_shares
    return {
        "trained on": shares(data.pin_text, set(trained_on)),
        f"measured on {settings.split}": shares(data.pin_text, measured),
    }


def parts_of(filled: dict[str, dict[str, float]], settings: AblateTextFields) -> dict[str, list[FieldRow]]:
    """The rows of both tables; JudgmentError when there is no text to compare."""
    with_text = {name for shares in filled.values() for name, share in shares.items() if share}
    groups = field_ablation.present_groups(settings.teacher.text.budgets, with_text)
    if not groups:
        raise JudgmentError(
            f"{settings.tables}/pin_text: no judged pin has text in a field that has a budget. Run "
            "python -m pipelines.build_pin_text, or raise --teacher.text.budgets."
        )
    return {
        "Fields added one after the other": field_ablation.cumulative(groups),
        "All fields but one": field_ablation.leave_one_out(groups),
    }


def try_all(rows: list[FieldRow], data: Data, settings: AblateTextFields) -> dict[str, Trial]:
    """A teacher a set of fields, trained and graded, by its folder; rows that read the same fields share one."""
    trials = {}
    sets = {row.folder: row.groups for row in rows}
    for number, (folder, groups) in enumerate(sets.items(), start=1):
        log.info("set %d of %d: %s", number, len(sets), ", ".join(groups))
        budgets = field_ablation.switched(settings.teacher.text.budgets, groups)
        teacher = overridden(settings.teacher, {"text": {"budgets": budgets.model_dump()}})
        trials[folder] = try_teacher(folder, teacher, data, settings)
    return trials


def section_of(
    title: str, rows: list[FieldRow], trials: dict[str, Trial], data: Data, settings: AblateTextFields
) -> Section:
    """One table with the gains of its rows."""
    measures = measure_rows(data.task.judged, {row.name: trials[row.folder].graded for row in rows}, settings.bootstrap)
    gains = {row.name: row.against for row in rows if row.against}
    return section(title, data.task.judged, measures, {"Gain over": gains}, with_facts=True)


if __name__ == "__main__":
    run(main, AblateTextFields)
