import datetime
import itertools
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinrank.errors import SettingsError, TableError
from pinrank.tables import SAMPLED_PAIRS, faults
from pinrank.text import normalise_query, pair_key
from pinrank.unseen import held_out_queries
from tests.sampling.logged import Sampled, impressions, judgments, sample, scores

NO_JUDGMENTS = judgments()


def pairs_of(data: pa.Table) -> list[tuple[str, str]]:
    return list(zip(data.column("query").to_pylist(), data.column("pin_id").to_pylist(), strict=True))


def left_out(sampled: Sampled) -> dict[str, int]:
    return {name: count for name, count in sampled.details.items() if name.startswith("impressions_")}


MANY = [(f"query {number % 17}", f"pin {number}") for number in range(200)]


def test_sample_has_the_size_schema_and_rules() -> None:
    pairs = sample(impressions(MANY), NO_JUDGMENTS, size=50).pairs
    assert pairs.num_rows == 50
    assert pairs.schema == SAMPLED_PAIRS.schema
    assert faults(pairs, SAMPLED_PAIRS) == []
    assert pairs.column("pair_key").to_pylist() == sorted(pair_key(query, pin) for query, pin in pairs_of(pairs))


def test_no_labels_come_along() -> None:
    assert not {"level", "relevance", "actions", "position"} & set(SAMPLED_PAIRS.schema.names)


def test_all_pairs_are_taken_when_there_are_fewer() -> None:
    assert sample(impressions(MANY), NO_JUDGMENTS, size=1_000).pairs.num_rows == 200


def test_judged_pairs_are_left_out_in_any_spelling() -> None:
    shown = impressions([("Red  Shoes", "a"), ("red shoes", "b"), ("blue hat", "a")])
    sampled = sample(shown, judgments(("red shoes", "a", "train")), size=9)
    assert sorted(pairs_of(sampled.pairs)) == [("Red  Shoes", "b"), ("blue hat", "a")]
    assert left_out(sampled) == {"impressions_of_held_out_queries": 0, "impressions_already_judged": 1}


@pytest.mark.parametrize("split", ["dev", "test"])
def test_pairs_of_held_out_queries_are_left_out_in_any_spelling(split: str) -> None:
    shown = impressions([("RED shoes", "a"), ("red  shoes", "b"), ("blue hat", "a")])
    sampled = sample(shown, judgments(("red shoes", "z", split)), size=9)
    assert pairs_of(sampled.pairs) == [("blue hat", "a")]
    assert left_out(sampled) == {"impressions_of_held_out_queries": 2, "impressions_already_judged": 0}


def test_query_of_train_and_test_is_held_out() -> None:
    both = judgments(("red shoes", "z", "train"), ("Red Shoes", "y", "test"))
    assert held_out_queries(both) == {"red shoes"}


def test_repeated_impressions_are_one_pair_that_stands_for_all() -> None:
    shown = impressions([("Red shoes", "a")] * 3 + [("red  SHOES", "a"), ("blue hat", "b")])
    pairs = sample(shown, NO_JUDGMENTS, size=9).pairs
    weights = dict(zip(pairs.column("pin_id").to_pylist(), pairs.column("weight").to_pylist(), strict=True))
    assert weights == {"a": 4.0, "b": 1.0}


def test_weights_of_a_stratum_add_up_to_its_impressions() -> None:
    shown = pa.concat_tables([impressions(MANY), impressions(MANY[:60], "de"), impressions(MANY[:40], None, None)])
    pairs = sample(shown, NO_JUDGMENTS, size=60, min_per_stratum=10).pairs
    totals = pairs.group_by("stratum").aggregate([("weight", "sum")]).to_pylist()
    smallest_locale = Counter("de/s" if row < 60 else "en/s" for row in range(200))
    assert {row["stratum"]: round(row["weight_sum"]) for row in totals} == {
        "de/s": smallest_locale["de/s"] * 2 + 40,
        "en/s": smallest_locale["en/s"],
    }


def test_unknown_locale_and_source_are_a_stratum() -> None:
    pairs = sample(impressions(MANY[:3], None, None), NO_JUDGMENTS, size=9).pairs
    assert set(pairs.column("stratum").to_pylist()) == {"unknown/unknown"}
    assert pairs.column("query_locale").null_count == 3


def test_small_strata_reach_their_floor_and_the_rest_is_proportional() -> None:
    rows = [(query, f"{pin}{copy}") for copy in range(4) for query, pin in MANY]
    other = [(query, f"other {pin}") for query, pin in MANY[:30]]
    shown = pa.concat_tables([impressions(rows), impressions(other, "de")])
    counts = Counter(sample(shown, NO_JUDGMENTS, size=100, min_per_stratum=20).pairs.column("stratum").to_pylist())
    assert counts["de/s"] >= 20
    assert counts["en/s"] == 100 - counts["de/s"]


def test_no_query_gives_more_than_its_cap() -> None:
    shown = impressions([("Head", f"p{n}") for n in range(50)] + [("head ", f"p{n}") for n in range(50, 99)] + MANY[:5])
    pairs = sample(shown, NO_JUDGMENTS, size=99, max_per_query=7).pairs
    assert Counter(normalise_query(query) for query in pairs.column("query").to_pylist())["head"] == 7
    assert pairs.num_rows == 12


@settings(max_examples=30)
@given(st.permutations(range(len(MANY))), st.integers(0, 3))
def test_sample_does_not_depend_on_the_order_of_rows(order: list[int], seed: int) -> None:
    shown = pa.concat_tables([impressions(MANY[:120]), impressions(MANY[120:], "de", "t")])
    chosen = [
        sample(each, NO_JUDGMENTS, size=70, seed=seed, max_per_query=6, min_per_stratum=5).pairs
        for each in (shown, shown.take(order))
    ]
    assert chosen[0].equals(chosen[1])


def test_sample_does_not_depend_on_the_spelling_that_comes_first() -> None:
    shown = impressions([("b Q", "p"), ("B q", "p")])
    assert sample(shown, NO_JUDGMENTS, size=1).pairs.equals(sample(shown.take([1, 0]), NO_JUDGMENTS, size=1).pairs)


def test_another_seed_chooses_other_pairs() -> None:
    first, second = (sample(impressions(MANY), NO_JUDGMENTS, size=50, seed=seed).pairs for seed in (0, 1))
    assert first.column("pair_key").to_pylist() != second.column("pair_key").to_pylist()


def test_larger_sample_of_one_stratum_holds_the_smaller() -> None:
    small, large = (set(pairs_of(sample(impressions(MANY), NO_JUDGMENTS, size=size).pairs)) for size in (40, 80))
    assert small < large


def test_nothing_to_sample_is_an_empty_table() -> None:
    assert sample(impressions([]), NO_JUDGMENTS, size=5).pairs.num_rows == 0


BY_ALL = {"by": ["locale", "country", "popularity", "position"]}


def test_strata_are_named_by_locale_country_popularity_and_position() -> None:
    head = impressions([("head", f"p{n}") for n in range(8)], country="US", position=[1, 2, 3, 4, 5, 11, 26, None])
    tail = impressions([("tail", "p")], "de", country=None, position=4)
    found = sample([head, tail], NO_JUDGMENTS, size=99, strata=BY_ALL)
    named = {row["pin_id"]: row["stratum"] for row in found.pairs.to_pylist()}
    assert named["p3"] == "en/US/head/1-4"
    assert named["p4"] == "en/US/head/5-10"
    assert named["p5"] == "en/US/head/11-25"
    assert named["p6"] == "en/US/head/26+"
    assert named["p7"] == "en/US/head/unknown"
    assert named["p"] == "de/unknown/tail/1-4"


def test_pair_is_in_the_band_of_its_best_position() -> None:
    shown = impressions([("q", "p"), ("q", "p")], position=[30, 2])
    assert sample(shown, NO_JUDGMENTS, size=9, strata=BY_ALL).pairs["stratum"].to_pylist() == ["en/unknown/head/1-4"]


def test_pair_of_two_days_is_one_pair() -> None:
    days = [datetime.datetime(2026, 5, day, tzinfo=datetime.UTC) for day in (1, 2)]
    pairs = sample([impressions([("q", "p")], ts=day) for day in days], NO_JUDGMENTS, size=9).pairs
    assert pairs["weight"].to_pylist() == [2.0]


def test_event_that_was_logged_twice_counts_once() -> None:
    shown = impressions([("q", "p"), ("q", "r")])
    found = sample([shown, shown.slice(0, 1)], NO_JUDGMENTS, size=9)
    assert found.pairs["weight"].to_pylist() == [1.0, 1.0]
    assert found.details["repeated_events"] == 1


def test_no_pin_gives_more_than_its_cap() -> None:
    shown = impressions([(f"q{n}", "everywhere") for n in range(30)] + MANY[:5])
    pairs = sample(shown, NO_JUDGMENTS, size=99, max_per_pin=3).pairs
    assert Counter(pairs["pin_id"].to_pylist())["everywhere"] == 3
    assert pairs.num_rows == 8


@settings(max_examples=10)
@given(st.integers(15, 90), st.integers(30, 120), st.integers(0, 3))
def test_sample_does_not_depend_on_how_the_log_is_cut(piece: int, partition: int, files: int) -> None:
    shown = pa.concat_tables([impressions(MANY[:120], position=3), impressions(MANY[60:], "de", "t", country="DE")])
    wanted = {"size": 70, "max_per_query": 6, "max_per_pin": 1, "min_per_stratum": 5, "strata": BY_ALL}
    bounds = [shown.num_rows * number // (files + 1) for number in range(files + 2)]
    cut = [shown.slice(start, stop - start) for start, stop in itertools.pairwise(bounds)]
    rows = {"rows_per_piece": piece, "rows_per_partition": partition}
    assert sample(cut, NO_JUDGMENTS, rows=rows, **wanted).pairs.equals(sample(shown, NO_JUDGMENTS, **wanted).pairs)


def on_day(day: int, rows: list[tuple[str, str]], **more: Any) -> pa.Table:
    return impressions(rows, ts=datetime.datetime(2026, 5, day, tzinfo=datetime.UTC), **more)


def test_fresh_pins_are_guaranteed_a_share() -> None:
    shown = [
        on_day(1, [(f"q{n}", f"old{n}") for n in range(200)]),
        on_day(20, [(f"q{n}", f"new{n}") for n in range(9)]),
    ]
    shown.append(on_day(20, [("q1", "old1"), ("q2", "old1")]))
    found = sample(shown, NO_JUDGMENTS, size=40, guarantees={"fresh_share": 0.2, "trending_share": 0.0})
    assert sum(pin.startswith("new") for pin in found.pairs["pin_id"].to_pylist()) >= 8
    assert found.details["groups"]["fresh"] >= 8
    totals = sum(found.pairs["weight"].to_pylist())
    assert totals == pytest.approx(211)


def test_cell_that_gives_no_pair_is_stood_for_by_its_stratum() -> None:
    shown = [on_day(1, [(f"q{n}", f"old{n}") for n in range(200)]), on_day(20, [("q1", "new")])]
    found = sample(shown, NO_JUDGMENTS, size=10)
    assert found.details["groups"] == {"rest": 10}
    assert sum(found.pairs["weight"].to_pylist()) == pytest.approx(201)


def test_trending_queries_are_guaranteed_a_share() -> None:
    shown = [on_day(day, [(f"q{n}", f"p{day}") for n in range(50)]) for day in range(1, 9)]
    shown.append(on_day(8, [("sudden", f"s{n}") for n in range(20)] + [("q1", "p1"), ("q1", "p2")]))
    shown.append(on_day(4, [("sudden", f"s{n}") for n in range(20)] * 2))
    found = sample(shown, NO_JUDGMENTS, size=40, guarantees={"fresh_share": 0.0, "trending_share": 0.25})
    assert Counter(found.pairs["query"].to_pylist())["sudden"] >= 10
    steady = {"fresh_share": 0.0, "trending_share": 0.25, "trending_ratio": 5.0}
    assert sample(shown, NO_JUDGMENTS, size=40, guarantees=steady).details["groups"].get("trending", 0) == 0


def test_active_choice_takes_the_largest_scores_and_reports_what_it_does() -> None:
    shown = pa.concat_tables([impressions(MANY), impressions(MANY[:20], "de")])
    said = scores(*[(query, pin, float(n), -float(n)) for n, (query, pin) in enumerate(MANY[100:])])
    active = {"share": 0.5, "by": "uncertainty"}
    found = sample(shown, NO_JUDGMENTS, said, size=40, active=active)
    unsure = set(MANY[180:])
    assert unsure <= set(pairs_of(found.pairs))
    assert found.details["active"]["en/s"] | {"gives": 0, "without_active": 0} == {
        "has": 180,
        "gives": 0,
        "active": 20,
        "without_active": 0,
    }
    weights = dict(zip(pairs_of(found.pairs), found.pairs["weight"].to_pylist(), strict=True))
    assert {weights[pair] for pair in unsure} == {1.0}
    assert sum(weights.values()) == pytest.approx(220)
    sure = sample(shown, NO_JUDGMENTS, said, size=40, active=active | {"by": "disagreement"})
    assert set(MANY[100:120]) <= set(pairs_of(sure.pairs))


def test_unsure_strata_give_more_under_neyman() -> None:
    shown = pa.concat_tables([impressions(MANY[:100]), impressions(MANY[100:], "de")])
    said = scores(*[(q, p, 1.0, None) for q, p in MANY[:100]], *[(q, p, 3.0, None) for q, p in MANY[100:]])
    found = sample(shown, NO_JUDGMENTS, said, size=40, rates={"kind": "neyman"})
    assert found.details["strata"] == {"de/s": 30, "en/s": 10}


def test_scores_are_needed_where_they_decide() -> None:
    for wanted in ({"active": {"share": 0.1}}, {"rates": {"kind": "neyman"}}):
        with pytest.raises(SettingsError, match="Name its table: --scores"):
            sample(impressions(MANY), NO_JUDGMENTS, **wanted)


def test_bad_rows_are_quarantined_and_counted() -> None:
    shown = pa.concat_tables([impressions(MANY), impressions([(" ", "p")])])
    found = sample(shown, NO_JUDGMENTS, size=500)
    assert (found.pairs.num_rows, found.quarantined) == (200, 1)
    with pytest.raises(TableError, match=r"1 of 201 rows cannot be used.*column 'query' is null or empty"):
        sample(shown, NO_JUDGMENTS, max_quarantined_share=0)
