from hypothesis import given
from hypothesis import strategies as st

from pinrank.datasets.query_groups import groups, splits, text_key

NAMES = ["t:a", "t:b", "t:c", "t:d", "t:e", "wd:1", "wd:2"]
KEYS = st.lists(st.sets(st.sampled_from(NAMES), min_size=1), max_size=12)


def test_spellings_of_a_text_are_one_group() -> None:
    assert text_key("Red  SHOES") == text_key("red shoes")


def test_queries_that_share_a_key_through_others_are_one_group() -> None:
    first, second, third, other = groups([["t:a", "wd:1"], ["t:b", "wd:1"], ["t:b", "t:c"], ["t:d"]])
    assert first == second == third != other


def test_group_is_named_by_its_entity_before_its_texts() -> None:
    assert groups([["t:a", "wd:1"]]) == groups([["wd:1"]]) != groups([["t:a"]])


@given(KEYS)
def test_no_key_is_in_two_groups_and_the_order_of_the_queries_does_not_matter(keys_of: list[set[str]]) -> None:
    group_of = groups(keys_of)
    owner: dict[str, str] = {}
    for keys, group in zip(keys_of, group_of, strict=True):
        assert {owner.setdefault(key, group) for key in keys} == {group}
    assert groups(keys_of[::-1])[::-1] == group_of


def test_shares_of_the_splits() -> None:
    found = splits([str(number) for number in range(10_000)])
    assert 0.08 < found.count("dev") / 10_000 < 0.12
    assert 0.18 < found.count("test") / 10_000 < 0.22


def test_what_the_owner_tests_on_stays_test_with_its_whole_group() -> None:
    assert splits(["a", "a", "b"], held=["train", "test", "test"]) == ["test"] * 3


def test_what_the_owner_trains_on_never_becomes_test() -> None:
    names = [str(number) for number in range(1_000)]
    found = splits(names, held=["train"] * 1_000)
    assert set(found) == {"train", "dev"}


def test_another_seed_splits_otherwise() -> None:
    names = [str(number) for number in range(100)]
    assert splits(names, seed=1) != splits(names, seed=2)
