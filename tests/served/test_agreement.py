"""Agreement of served lists with the teacher, on lists small enough to count by hand."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from pinrank.evaluation.comparison import BootstrapSettings
from pinrank.served.agreement import METRICS, SegmentSettings, Shown, days, head, measure, segments, shown_of, table
from pinrank.served.lists import ServedList, table_of
from pinrank.served.pairs import pairs_of
from pinrank.tables import SOFT_LABELS
from pinrank.teacher.calibration import Calibration
from pinrank.text import normalise_query
from tests.served.rows import DAY, served_list

ONCE = BootstrapSettings(num_resamples=20)
SURE = 20.0
"""A logit beside zeros that leaves nothing to the other levels."""


def labelled(served: pa.Table, levels: dict[tuple[str, str], int]) -> pa.Table:
    """The teacher's grades of the pairs whose (normalised query, pin) is in levels."""
    rows = []
    for row in pairs_of(served).to_pylist():
        level = levels.get((normalise_query(row["query"]), row["pin_id"]))
        if level is not None:
            logits = [SURE if each == level else 0.0 for each in range(1, 6)]
            rows.append({name: row.get(name) for name in SOFT_LABELS.schema.names} | {"logits": logits})
    return pa.Table.from_pylist(
        [row | {"num_tokens": 3, "teacher": "t@1", "fingerprint": "f"} for row in rows], schema=SOFT_LABELS.schema
    )


def shown(lists: list[ServedList], levels: dict[tuple[str, str], int], day: datetime.date = DAY) -> Shown:
    served = table_of(lists)
    return shown_of([(day, served, labelled(served, levels))], Calibration())


def test_a_student_that_says_what_the_teacher_says_agrees_fully() -> None:
    lists = [
        served_list(
            f"{number}", query=f"q{number}", pin_ids=("a", "b"), positions=(0, 1), scores=(1.0, 0.0), levels=(5, 1)
        )
        for number in range(12)
    ]
    levels = {(f"q{number}", pin): level for number in range(12) for pin, level in (("a", 5), ("b", 1))}
    found = measure(shown(lists, levels), ONCE)
    assert {name: round(found[name].value, 6) for name in METRICS} == {
        **{"ndcg_at_10": 1.0, "accuracy": 1.0, "qwk": 1.0, "spearman": 1.0, "drift_levels": 0.0}
    }
    assert found["accuracy"].values_R.min() == 1.0


def test_the_order_that_was_shown_is_measured_and_not_the_scores() -> None:
    one = served_list("1", pin_ids=("a", "b"), positions=(0, 3), scores=(0.1, 0.9), levels=(None, 4))
    part = shown([one], {("red shoes", "a"): 1, ("red shoes", "b"): 5})
    found = measure(part, ONCE)
    assert found["ndcg_at_10"].value == pytest.approx(1 / np.log2(3))
    assert found["accuracy"].value == 0.0  # of the one pin that the student graded
    assert found["drift_levels"].value == pytest.approx(0.4, abs=1e-4)


def test_what_the_teacher_did_not_grade_is_left_out() -> None:
    part = shown([served_list("1", pins=3)], {("red shoes", "p0"): 5, ("red shoes", "p2"): 3})
    assert part.positions_N.tolist() == [0, 2]
    assert measure(part, ONCE)["accuracy"].value == 1.0


def test_lists_of_one_query_are_ranked_apart_and_drawn_together() -> None:
    levels = {("red shoes", "a"): 5, ("red shoes", "b"): 1}
    good, bad = (
        served_list(name, query=query, pin_ids=pins, positions=(0, 1), scores=(1.0, 0.0), levels=(5, 1))
        for name, query, pins in (("1", "red shoes", ("a", "b")), ("2", "Red Shoes", ("b", "a")))
    )
    part = shown([good, bad], levels)
    assert (part.num_lists, len(np.unique(part.queries_N))) == (2, 1)
    found = measure(part, ONCE)["ndcg_at_10"]
    assert found.value == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert np.allclose(found.values_R, found.value)


def many() -> Shown:
    """30 lists of q0, 10 of ten others; two releases, two days."""
    parts = []
    for day in (DAY, DAY + datetime.timedelta(days=1)):
        queries = ["q0"] * 15 + [f"q{number}" for number in range(1, 6)]
        lists = [
            served_list(
                f"{day}-{number:02}",
                pins=2,
                query=query,
                query_locale="de" if number % 2 else None,
                version=f"s@{day.day:08}",
            )
            for number, query in enumerate(queries)
        ]
        served = table_of(lists)
        parts.append((day, served, labelled(served, {(query, "p0"): 5 for query in queries})))
    return shown_of(parts, Calibration())


def test_the_teacher_is_as_sure_as_its_calibration_says() -> None:
    """With a temperature of 20 its likeliest level has e / (e + 4), its score of a 5 is 0.628, of a 1 0.372."""
    lists = [served_list("1", query="q", pin_ids=("a", "b"), positions=(0, 1), scores=(0.628, 0.372), levels=(5, 1))]
    served = table_of(lists)
    graded = (DAY, served, labelled(served, {("q", "a"): 5, ("q", "b"): 1}))
    assert measure(shown_of([graded], Calibration(temperature=20.0)), ONCE)["drift_levels"].value < 0.002
    assert measure(shown_of([graded], Calibration()), ONCE)["drift_levels"].value > 1


def test_segments_are_head_and_tail_locales_and_releases_with_enough_lists() -> None:
    sizes = {name: part.num_lists for name, part in segments(many(), SegmentSettings(min_lists=10))}
    assert sizes == {
        **{"overall": 40, "head queries": 30, "tail queries": 10},
        **{"locale de": 20, "locale unknown": 20, "release s@00000004": 20, "release s@00000005": 20},
    }
    assert "tail queries" not in dict(segments(many(), SegmentSettings(min_lists=11)))


def test_head_is_the_fewest_queries_with_the_share_of_lists() -> None:
    part = many()
    assert head(part, 0.75).sum() == 30
    assert head(part, 0.76).sum() > 30


def test_days_come_in_order_and_few_queries_have_no_interval() -> None:
    rows = list(days(many(), SegmentSettings(min_lists=1)))
    assert [name for name, _ in rows] == ["2026-05-04", "2026-05-05"]
    section = table("by day", rows, ONCE)
    assert set(section.figures) == {"2026-05-04", "2026-05-05"}
    assert all(figure.ci95 == (None, None) for row in section.figures.values() for figure in row.values())
