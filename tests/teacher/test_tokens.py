"""Tokenising (query, pin text) pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.backbones import resolve
from pinrank.teacher.tokens import LENGTH_STEP, PairTokenizer, padded, shares
from pinrank.text import FieldBudgets, TextSettings, packed


@pytest.fixture(scope="module")
def tokenizer() -> PairTokenizer:
    text = TextSettings(max_query_tokens=4, max_tokens=12)
    return PairTokenizer.open(resolve("all-MiniLM-L6-v2"), text)


def words(tokenizer: PairTokenizer, ids: list[int]) -> str:
    return " ".join(tokenizer.tokenizer.convert_ids_to_tokens(ids))


def test_a_pair_reads_query_then_pin_with_the_second_segment_marked(tokenizer: PairTokenizer):
    (prompt,) = tokenizer.prompts([("red shoe", "leather boot")])
    assert words(tokenizer, prompt.token_ids) == "[CLS] red shoe [SEP] leather boot [SEP]"
    assert prompt.second_start == 4


def test_a_pin_that_is_read_first_is_the_same_before_every_query() -> None:
    text = TextSettings(max_query_tokens=4, max_tokens=12, first="pin")
    pin_first = PairTokenizer.open(resolve("all-MiniLM-L6-v2"), text)
    short, long = pin_first.prompts([("red", "boot " * 50), ("red shoe size nine", "boot " * 50)])
    assert words(pin_first, short.token_ids) == "[CLS] boot boot boot boot boot [SEP] red [SEP]"
    assert words(pin_first, long.token_ids) == "[CLS] boot boot boot boot boot [SEP] red shoe size nine [SEP]"
    assert short.second_start == long.second_start == 7


def test_truncation_takes_from_the_pin_and_never_from_the_query(tokenizer: PairTokenizer):
    (prompt,) = tokenizer.prompts([("red shoe size nine", "boot " * 50)])
    assert words(tokenizer, prompt.token_ids).startswith("[CLS] red shoe size nine [SEP] boot boot")
    assert len(prompt.token_ids) == 12


def test_a_query_over_its_budget_is_cut_to_it(tokenizer: PairTokenizer):
    (prompt,) = tokenizer.prompts([("one two three four five six", "boot")])
    assert words(tokenizer, prompt.token_ids) == "[CLS] one two three four [SEP] boot [SEP]"


def test_an_empty_pin_text_still_makes_a_pair(tokenizer: PairTokenizer):
    (prompt,) = tokenizer.prompts([("red", "")])
    assert words(tokenizer, prompt.token_ids) == "[CLS] red [SEP] [SEP]"


def test_no_pairs_give_no_prompts(tokenizer: PairTokenizer):
    assert tokenizer.prompts([]) == []


def test_padding_is_masked_and_types_follow_the_second_segment(tokenizer: PairTokenizer):
    batch = padded(tokenizer.prompts([("red", "boot"), ("red", "big boot")]), pad_id=0, uses_types=True)
    assert batch["attention_mask"][:, :7].tolist() == [[1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 0]]
    assert batch["token_type_ids"][:, :7].tolist() == [[0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 0]]


def test_lengths_are_rounded_up_so_that_few_shapes_occur(tokenizer: PairTokenizer):
    prompts = tokenizer.prompts([("red", "boot " * words) for words in range(1, 8)])
    assert {padded([prompt], 0, uses_types=False)["input_ids"].shape for prompt in prompts} == {(1, LENGTH_STEP)}


def test_each_field_is_cut_to_its_budget_of_tokens():
    text = TextSettings(budgets=FieldBudgets(title=2, caption=3), max_tokens=40, max_query_tokens=4)
    tokenizer = PairTokenizer.open(resolve("all-MiniLM-L6-v2"), text)
    pin = packed({"title": "one two three", "caption": "a b c d e", "link_title": "end"}, text)
    (prompt,) = tokenizer.prompts([("q", pin)])
    assert words(tokenizer, prompt.token_ids) == "[CLS] q [SEP] one two | a b c | end [SEP]"


def test_the_longest_field_gives_way_first(tokenizer: PairTokenizer):
    pin = packed({"title": "red boot", "description": "old " * 20}, tokenizer.text)
    (prompt,) = tokenizer.prompts([("shoe", pin)])
    assert words(tokenizer, prompt.token_ids) == "[CLS] shoe [SEP] red boot | old old old old old [SEP]"


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 120))
def test_shares_fill_the_room_and_only_the_longest_give_way(lengths: list[int], room: int):
    found = shares(lengths, room)
    assert sum(found) == min(sum(lengths), room)
    assert all(share <= length for share, length in zip(found, lengths, strict=True))
    cut = [share for share, length in zip(found, lengths, strict=True) if share < length]
    assert not cut or min(cut) >= max(found) - 1
