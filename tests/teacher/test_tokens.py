"""Tokenising (query, pin text) pairs."""

import pytest

from pinrank.backbones import resolve
from pinrank.teacher.tokens import LENGTH_STEP, PairTokenizer, padded
from pinrank.text import TextSettings


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
