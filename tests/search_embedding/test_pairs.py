"""From evidence to pairs: who counts, what is left out, what is held out."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pinrank.engagement.evidence import evidence_of, merged
from pinrank.engagement.settings import ActionWeights
from pinrank.errors import TableError
from pinrank.search_embedding.pairs import (
    ENGAGED,
    candidates,
    engaged_pairs,
    examples,
    measured_pairs,
    refuse_too_few,
    texts_of,
)
from pinrank.search_embedding.settings import PairSettings, SearchEmbeddingSettings
from pinrank.tables import ENGAGEMENT
from pinrank.text import FIELDS, FieldBudgets, TextSettings
from pinrank.unseen import NOTHING, Unseen, unseen
from tests.engagement.logged import NOW

LOG = [
    ("ann", "Red Shoes", "p1", "click", 1.0),
    ("ann", "red shoes", "p1", "save", None),
    ("ann", "red shoes", "p1", "save", None),
    ("bob", "red  shoes", "p1", "long_click", 30.0),
    ("ann", "red shoes", "p2", "click", 2.0),
    ("bob", "blue hat", "p2", "view", None),
    ("bob", None, "p2", "save", None),
    ("ann", "blue hat", "p3", "click", 3.0),
    ("bob", "blue hat", "p3", "click", 3.0),
]


def evidence() -> pa.Table:
    names = ("user_hash", "query", "pin_id", "action", "dwell_s")
    rows = [{"ts": NOW, **dict(zip(names, row, strict=True))} for row in LOG]
    return merged([evidence_of(pa.Table.from_pylist(rows, ENGAGEMENT.schema), min_dwell_s=10)])


def engaged(forbidden: Unseen = NOTHING, **changes: object) -> list[tuple]:
    found = engaged_pairs(evidence(), forbidden, PairSettings(**{"min_users": 1, **changes}))
    return sorted(tuple(row.values()) for row in found.to_pylist())


def test_a_pair_weighs_what_each_persons_strongest_action_says():
    assert engaged() == [
        ("blue hat", "p3", 2.0, False),
        ("red shoes", "p1", 5.0, False),  # ann saved: 3, bob stayed: 2
        ("red shoes", "p2", 1.0, False),
    ]


def test_pairs_of_too_few_people_are_left_out_and_so_are_actions_of_no_weight():
    assert [row[:2] for row in engaged(min_users=2)] == [("blue hat", "p3"), ("red shoes", "p1")]
    only_saves = ActionWeights(click=0, long_click=0, save=1)
    assert engaged(weights=only_saves) == [("red shoes", "p1", 1.0, False)]


def test_queries_of_dev_and_test_and_judged_pairs_are_marked():
    rows = [("BLUE hat", "p9", "test"), ("red shoes", "p2", "train")]
    judged = pa.table(dict(zip(("query", "pin_id", "split"), zip(*rows, strict=True), strict=True)))
    assert [row[3] for row in engaged(unseen(judged))] == [True, False, True]


TEXTS = {"p1": "a red shoe", "p2": "a red shoe", "p3": "a hat"}


def some_engaged(*rows: tuple) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(ENGAGED.names, row, strict=True)) for row in rows], ENGAGED)


def test_pins_of_one_text_are_one_pin_and_a_weight_has_a_ceiling():
    rows = some_engaged(("q", "p1", 3.0, False), ("q", "p2", 4.0, False), ("q", "p3", 90.0, False))
    found = examples(rows, TEXTS, PairSettings(held_out_share=0), seed=0)
    assert found.to_pylist() == [
        {"query": "q", "pin": "a hat", "weight": 10.0, "held_out": False},
        {"query": "q", "pin": "a red shoe", "weight": 7.0, "held_out": False},
    ]


def test_judged_pairs_and_pins_without_text_are_not_learnt():
    rows = some_engaged(("q", "p1", 1.0, True), ("q", "gone", 1.0, False), ("r", "p3", 1.0, False))
    found = examples(rows, TEXTS, PairSettings(held_out_share=0), seed=0)
    assert found["query"].to_pylist() == ["r"]


def many() -> pa.Table:
    return some_engaged(*((f"query {place}", f"p{1 + 2 * (place % 2)}", 1.0, False) for place in range(2_000)))


def test_a_query_is_held_out_with_all_its_pairs_by_hash_and_seed():
    both = pa.concat_tables([many(), some_engaged(*((f"query {n}", "p3", 1.0, False) for n in range(0, 2_000, 2)))])
    settings = PairSettings(held_out_share=0.1)
    found = examples(both, TEXTS, settings, seed=0)
    held_out = {row["query"] for row in found.to_pylist() if row["held_out"]}
    learnt = {row["query"] for row in found.to_pylist() if not row["held_out"]}
    assert 150 < len(held_out) < 250 and not held_out & learnt
    again = examples(both.take(list(range(both.num_rows))[::-1]), TEXTS, settings, seed=0)
    assert again.equals(found)
    assert not examples(both, TEXTS, settings, seed=1).equals(found)


def test_fewer_pairs_are_a_part_of_more():
    few, more = (
        set(examples(many(), TEXTS, PairSettings(max_pairs=most), seed=0)["query"].to_pylist()) for most in (50, 500)
    )
    assert len(few) == 50 and few < more


def test_candidates_hold_every_measured_pin_and_others_by_hash():
    texts = {f"p{place}": f"text {place}" for place in range(100)}
    rows = some_engaged(*((f"query {place}", f"p{place}", 1.0, False) for place in range(100)))
    settings = PairSettings(held_out_share=0.3, max_held_out_queries=10, num_candidates=20)
    pairs = examples(rows, texts, settings, seed=0)
    measured = measured_pairs(pairs, settings)
    among = candidates(pairs, texts, settings, seed=0)["pin"].to_pylist()
    assert len(measured["query"].unique()) == 10
    assert set(measured["pin"].to_pylist()) <= set(among) <= set(texts.values())
    assert 20 <= len(among) == len(set(among)) <= 30


def test_a_pin_that_says_nothing_has_no_text():
    empty = dict.fromkeys(FIELDS, "")
    rows = [{"pin_id": "a", **empty, "title": "cat"}, {"pin_id": "b", **empty, "query_tokens": "cat"}]
    assert texts_of(pa.Table.from_pylist(rows), SearchEmbeddingSettings().text) == {"a": "cat"}


def test_too_few_pairs_are_refused_with_the_mend():
    with pytest.raises(TableError, match=r"1 pairs .* 2 are needed\. Lower pairs\.min_users"):
        refuse_too_few(examples(many().slice(0, 1), TEXTS, PairSettings(held_out_share=0), 0), num_workers=1)


def test_the_queries_own_words_must_not_be_read_off_the_pin():
    with pytest.raises(ValidationError, match="query_tokens must be 0"):
        SearchEmbeddingSettings(text=TextSettings(budgets=FieldBudgets(query_tokens=4)))
