"""What a shard holds, in which order, and what cannot be in it."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.labeling.shards import GRADED, WORK, joined, rendered, ungradable, with_order_hash, wrong_keys
from pinrank.text import FieldBudgets, TextSettings, packed, pair_key
from tests.labeling.rows import GRADING, pin_texts, sampled, work_rows

TEXT = TextSettings()
PINS = {"p1": "red boots", "p2": "blue boots", "p3": "a cake"}
PAIRS = [("boots", "p2"), ("Boots", "p1"), ("cake", "p3"), ("boots", "p1"), ("cake", "p1")]


def graded(*rows: tuple[str, str, str, float]) -> pa.Table:
    """GRADED of (query, pin, fingerprint, first logit)."""
    values = [
        {
            "pair_key": pair_key(query, pin),
            "pin_id": pin,
            "fingerprint": printed,
            "logits": [first, 0, 0, 0, 0],
            "num_tokens": 7,
        }
        for query, pin, printed, first in rows
    ]
    return pa.Table.from_pylist(values, GRADED)


def together(values: list[str]) -> bool:
    """Whether equal values lie side by side."""
    changes = sum(one != other for one, other in pairwise(values))
    return changes == len(set(values)) - 1


@given(order=st.permutations(PAIRS))
def test_the_order_does_not_depend_on_that_of_the_input(order: list[tuple[str, str]]) -> None:
    assert work_rows(sampled(*order), pin_texts(**PINS)).equals(work_rows(sampled(*PAIRS), pin_texts(**PINS)))


def test_all_spellings_of_a_query_lie_together() -> None:
    rows = work_rows(sampled(*PAIRS), pin_texts(**PINS))
    assert rows.schema.equals(WORK)
    assert together([query.lower() for query in rows.column("query").to_pylist()])


def test_pairs_of_a_pin_lie_together_when_asked_for() -> None:
    rows = work_rows(sampled(*PAIRS), pin_texts(**PINS), GRADING.model_copy(update={"order": "pin"}))
    assert together(rows.column("pin_id").to_pylist())


def test_a_pair_carries_its_pins_text_and_fingerprint() -> None:
    rows = work_rows(sampled(("cake", "p3"), ("boots", "p1")), pin_texts(**PINS)).to_pylist()
    found = {row["pin_id"]: (row["pin_text"], row["fingerprint"]) for row in rows}
    printed = dict(
        zip(*(pin_texts(**PINS).column(name).to_pylist() for name in ("pin_id", "fingerprint")), strict=True)
    )
    assert found == {pin: (packed({"title": PINS[pin]}, TEXT), printed[pin]) for pin in ("p1", "p3")}


def test_a_grade_is_known_only_of_the_same_pair_and_the_same_text() -> None:
    texts = pin_texts(**PINS)
    printed = dict(zip(texts.column("pin_id").to_pylist(), texts.column("fingerprint").to_pylist(), strict=True))
    earlier = graded(
        ("BOOTS", "p1", printed["p1"], 1.0),  # the same query in another spelling
        ("boots", "p1", printed["p1"], 2.0),  # a second grade of that pair
        ("boots", "p2", "an older text", 3.0),
        ("other", "p3", printed["p3"], 4.0),
    )
    pairs = sampled(("boots", "p1"), ("boots", "p2"), ("cake", "p3"))
    rows = joined(with_order_hash(pairs, "query"), rendered(texts, pairs.column("pin_id"), TEXT), earlier)
    assert rows.column("logits").to_pylist() == [[1, 0, 0, 0, 0], None, None]
    assert rows.column("num_tokens").to_pylist() == [7, None, None]


@pytest.mark.parametrize(
    "changed",
    [
        {"teacher": "tiny@11111111"},
        {"dtype": "bfloat16"},
        {"engine": "transformers"},
        {"text": TextSettings(budgets=FieldBudgets(title=5))},
    ],
)
def test_every_setting_that_decides_a_grade_makes_another_grading(changed: dict[str, object]) -> None:
    other = GRADING.model_copy(update=changed)
    assert other.hash != GRADING.hash
    assert not GRADING.grades_as(other)


@pytest.mark.parametrize("changed", [{"rows_per_shard": 3}, {"order": "pin"}])
def test_how_pairs_are_cut_changes_the_names_but_no_grade(changed: dict[str, object]) -> None:
    other = GRADING.model_copy(update=changed)
    assert other.hash != GRADING.hash
    assert GRADING.grades_as(other) and other.grades_as(GRADING)


def test_a_pair_without_a_readable_pin_is_named_with_its_reason() -> None:
    pairs = sampled(("a", "p1"), ("a", "gone"), ("a", "mute"))
    texts = pin_texts(p1="red boots", mute="")
    found = ungradable(pairs, rendered(texts, pairs.column("pin_id"), TEXT))
    assert [(fault.reason, fault.rows.tolist()) for fault in found] == [
        ("has no row in pin_text", [1]),
        ("names a pin without text", [2]),
    ]


def test_a_key_that_is_not_its_pairs_is_found() -> None:
    pairs = sampled(("a", "p1"), ("b", "p1"), ("c", "p1"))
    keys = pairs.column("pair_key").to_pylist()
    shifted = pairs.set_column(0, "pair_key", pa.array([keys[0], keys[0], None]))
    assert [fault.rows.tolist() for fault in wrong_keys(shifted)] == [[1]]
