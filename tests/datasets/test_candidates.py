import pyarrow as pa

from pinrank.datasets.candidates import bm25_candidates

QUERIES = pa.table({"query_id": ["q1", "q2", "q3"], "source": ["s"] * 3, "query": ["red shoes", "lamp", "blue"]})
ITEMS = pa.table(
    {
        "item_id": ["a", "b", "c", "d"],
        "source": ["s", "s", "s", "other"],
        "title": ["Red shoes", "Shoes", "A lamp", "red shoes"],
        "description": ["", "in many colours and all sizes", None, ""],
        "link_title": ["", "", "", ""],
        "link_description": ["", "", "", ""],
        "image_captions": [[], ["red things"], [], []],
    }
)
JUDGED = pa.table({"query_id": ["q1"], "item_id": ["a"]})
NOTHING = JUDGED.slice(0, 0)


def found(judged: pa.Table = NOTHING, most: int = 10) -> list[tuple[str, str, int]]:
    rows = bm25_candidates(QUERIES, ITEMS, judged, {"s": most}).to_pylist()
    return [(row["query_id"], row["item_id"], row["rank"]) for row in rows]


def test_best_match_comes_first_and_what_shares_no_word_does_not_come() -> None:
    assert found() == [("q1", "a", 1), ("q1", "b", 2), ("q2", "c", 1)]


def test_judged_pair_is_no_candidate() -> None:
    assert found(JUDGED) == [("q1", "b", 1), ("q2", "c", 1)]


def test_a_query_gives_so_many_at_most() -> None:
    assert found(most=1) == [("q1", "a", 1), ("q2", "c", 1)]


def test_a_source_without_pins_gives_none() -> None:
    assert bm25_candidates(QUERIES, ITEMS.slice(0, 0), NOTHING, {"s": 5}).num_rows == 0
