from pinrank import tables
from pinrank.served.lists import table_of
from pinrank.served.pairs import pairs_of
from pinrank.text import pair_key
from tests.served.rows import served_list


def test_a_pair_is_there_once_under_its_most_frequent_spelling_and_says_how_often_it_was_shown() -> None:
    served = table_of(
        [
            served_list("a", pins=2, query="Red  Shoes"),
            served_list("b", pins=1, query="red shoes"),
            served_list("c", pins=1, query="red shoes", query_locale="de"),
            served_list("d", pins=1, query="red shoes"),
        ]
    )
    pairs = pairs_of(served)
    assert not tables.faults(pairs, tables.SAMPLED_PAIRS)
    found = {row["pin_id"]: row for row in pairs.to_pylist()}
    assert (found["p0"]["query"], found["p0"]["query_locale"], found["p0"]["weight"]) == ("red shoes", "en", 4.0)
    assert (found["p1"]["query"], found["p1"]["weight"]) == ("Red  Shoes", 1.0)
    assert found["p1"]["pair_key"] == pair_key("red shoes", "p1")
