"""The order of the pairs, the cut and the names of the shards."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.labeling.shards import PAIRS, Grading, cut, ordered, rendered, ungradable
from pinrank.text import FieldBudgets, TextSettings, packed
from tests.labeling.rows import pin_texts, sampled

TEXT = TextSettings()
GRADING = Grading(teacher="tiny@00000000", text=TEXT, engine="transformers", dtype="float32", rows_per_shard=2)
PINS = {"p1": "red boots", "p2": "blue boots", "p3": "a cake"}


def in_order(pairs: pa.Table, texts: pa.Table, text: TextSettings = TEXT) -> pa.Table:
    return ordered(pairs, rendered(texts, pairs.column("pin_id"), text))


def test_pairs_come_by_query_then_pin_with_their_pins_text() -> None:
    pairs = in_order(sampled(("cake", "p3"), ("boots", "p2"), ("boots", "p1")), pin_texts(**PINS))
    assert pairs.schema.equals(PAIRS)
    assert pairs.column("query").to_pylist() == ["boots", "boots", "cake"]
    assert pairs.column("pin_id").to_pylist() == ["p1", "p2", "p3"]
    assert pairs.column("pin_text").to_pylist() == [
        packed({"title": title}, GRADING.text) for title in ("red boots", "blue boots", "a cake")
    ]
    assert pairs.column("fingerprint").to_pylist() == pin_texts(**PINS).column("fingerprint").to_pylist()


def test_shards_hold_a_fixed_number_of_rows_and_the_last_one_the_rest() -> None:
    pairs = in_order(sampled(("a", "p1"), ("b", "p1"), ("c", "p1")), pin_texts(**PINS))
    assert [(shard.start, shard.stop) for shard in cut(pairs, GRADING)] == [(0, 2), (2, 3)]


@given(order=st.permutations([("a", "p1"), ("a", "p2"), ("b", "p3"), ("b", "p1"), ("c", "p2")]))
def test_names_do_not_depend_on_the_order_of_the_input(order: list[tuple[str, str]]) -> None:
    texts = pin_texts(**PINS)
    names = [shard.name for shard in cut(in_order(sampled(*order), texts), GRADING)]
    as_sorted = [shard.name for shard in cut(in_order(sampled(*sorted(order)), texts), GRADING)]
    assert names == as_sorted
    assert len(set(names)) == 3


def test_another_text_renames_only_the_shard_that_holds_it() -> None:
    pairs = sampled(("a", "p1"), ("a", "p2"), ("b", "p3"))
    before = cut(in_order(pairs, pin_texts(**PINS)), GRADING)
    after = cut(in_order(pairs, pin_texts(**PINS | {"p3": "a pie"})), GRADING)
    assert before[0].name == after[0].name
    assert before[1].name != after[1].name


@pytest.mark.parametrize(
    "changed",
    [
        {"teacher": "tiny@11111111"},
        {"dtype": "bfloat16"},
        {"engine": "vllm"},
        {"rows_per_shard": 3},
        {"text": TextSettings(budgets=FieldBudgets(title=5))},
    ],
)
def test_every_setting_that_decides_a_grade_changes_the_names(changed: dict[str, object]) -> None:
    other = GRADING.model_copy(update=changed)
    pairs = in_order(sampled(("a", "p1"), ("b", "p2")), pin_texts(**PINS))
    assert other.hash != GRADING.hash
    assert cut(pairs, other)[0].name != cut(pairs, GRADING)[0].name


def test_null_and_empty_are_different_contents() -> None:
    pairs = in_order(sampled(("a", "p1")), pin_texts(**PINS))
    position = pairs.schema.get_field_index("query_locale")
    empty = pairs.set_column(position, "query_locale", pa.array([""]))
    null = pairs.set_column(position, "query_locale", pa.array([None], pa.string()))
    assert cut(empty, GRADING)[0].name != cut(null, GRADING)[0].name


def test_a_pair_without_a_readable_pin_is_named_with_its_reason() -> None:
    pairs = sampled(("a", "p1"), ("a", "gone"), ("a", "mute"))
    texts = pin_texts(p1="red boots", mute="")
    found = ungradable(pairs, rendered(texts, pairs.column("pin_id"), TEXT))
    assert [(fault.reason, fault.rows.tolist()) for fault in found] == [
        ("has no row in pin_text", [1]),
        ("names a pin without text", [2]),
    ]


def test_no_pairs_make_no_shards() -> None:
    assert cut(in_order(sampled(), pin_texts(**PINS)), GRADING) == []
