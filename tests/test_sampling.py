from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinrank.datasets.relevance import read
from pinrank.sampling import allocate, hashes, held_out_queries, rank_within, sample
from pinrank.tables import SAMPLED_PAIRS, faults
from pinrank.text import normalise_query, pair_key

NO_JUDGMENTS = pa.table(
    {"query": pa.array([], pa.string()), "pin_id": pa.array([], pa.string()), "split": pa.array([], pa.string())}
)


def impressions(rows: Sequence[tuple[str, str]], locale: str | None = "en", source: str | None = "s") -> pa.Table:
    return pa.table(
        {
            "query": pa.array([query for query, _ in rows], pa.string()),
            "query_locale": pa.array([locale] * len(rows), pa.string()),
            "pin_id": pa.array([pin for _, pin in rows], pa.string()),
            "source": pa.array([source] * len(rows), pa.string()),
        }
    )


def judgments(*rows: tuple[str, str, str]) -> pa.Table:
    return pa.table(dict(zip(("query", "pin_id", "split"), map(list, zip(*rows, strict=True)), strict=True)))


def pairs_of(data: pa.Table) -> list[tuple[str, str]]:
    return list(zip(data.column("query").to_pylist(), data.column("pin_id").to_pylist(), strict=True))


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
    assert sorted(pairs_of(sampled.pairs)) == [("blue hat", "a"), ("red shoes", "b")]
    assert sampled.left_out == {"impressions_of_held_out_queries": 0, "impressions_already_judged": 1}


@pytest.mark.parametrize("split", ["dev", "test"])
def test_pairs_of_held_out_queries_are_left_out_in_any_spelling(split: str) -> None:
    shown = impressions([("RED shoes", "a"), ("red  shoes", "b"), ("blue hat", "a")])
    sampled = sample(shown, judgments(("red shoes", "z", split)), size=9)
    assert pairs_of(sampled.pairs) == [("blue hat", "a")]
    assert sampled.left_out == {"impressions_of_held_out_queries": 2, "impressions_already_judged": 0}


def test_query_of_train_and_test_is_held_out() -> None:
    both = judgments(("red shoes", "z", "train"), ("Red Shoes", "y", "test"))
    assert held_out_queries(both) == {"red shoes"}
    assert sample(impressions([("red shoes", "a")]), both, size=9).pairs.num_rows == 0


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


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 50)), st.integers(0, 200), st.integers(0, 30))
def test_allocation_adds_up_and_gives_nobody_more_than_there_is(
    available: dict[str, int], size: int, floor: int
) -> None:
    given_ = allocate(available, size, floor)
    assert sum(given_.values()) == min(size, sum(available.values()))
    assert all(0 <= given_[name] <= available[name] for name in available)
    if sum(min(floor, count) for count in available.values()) <= size:
        assert all(given_[name] >= min(floor, available[name]) for name in available)


def test_allocation_is_proportional() -> None:
    assert allocate({"a": 100, "b": 300, "c": 600}, 100, 0) == {"a": 10, "b": 30, "c": 60}
    assert allocate({"a": 10, "b": 1000}, 100, 10) == {"a": 10, "b": 90}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**64 - 1)), max_size=30))
def test_ranks_within_a_code_follow_the_order(rows: list[tuple[int, int]]) -> None:
    codes, order = np.array([c for c, _ in rows], np.int64), np.array([o for _, o in rows], np.uint64)
    ranks = rank_within(codes, order)
    for code in set(codes.tolist()):
        inside = np.flatnonzero(codes == code)
        assert sorted(ranks[inside].tolist()) == list(range(len(inside)))
        by_rank = inside[np.argsort(ranks[inside])]
        assert order[by_rank].tolist() == sorted(order[inside].tolist())


def test_hashes_are_the_same_everywhere() -> None:
    assert hashes(["red shoes", ""], 7).tolist() == [4355533712631844395, hashes([""], 7)[0]]


def test_no_real_pair_has_a_query_of_dev_or_test(relevance_dir: Path) -> None:
    imported = read(str(relevance_dir))
    pairs = sample(imported.impressions, imported.judgments, size=10**6).pairs
    assert pairs.num_rows > 100_000
    queries = pq.read_table(relevance_dir / "queries.parquet").to_pylist()
    held_out = {normalise_query(row["query"]) for row in queries if row["split"] != "train"}
    assert not held_out & {normalise_query(query) for query in set(pairs.column("query").to_pylist())}
    judged = zip(
        imported.judgments.column("query").to_pylist(), imported.judgments.column("pin_id").to_pylist(), strict=True
    )
    assert not {pair_key(query, pin) for query, pin in judged} & set(pairs.column("pair_key").to_pylist())
