"""Texts to token ids and vectors."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from pinrank.backbones import resolve
from pinrank.student.encoder import text_template, tokenise

TOKENIZER = AutoTokenizer.from_pretrained(resolve("all-MiniLM-L6-v2"))
TEMPLATE = text_template(TOKENIZER)
LONG = "boots and cakes " * 40


def test_a_text_is_cut_between_its_special_tokens():
    (ids,) = tokenise(TOKENIZER, TEMPLATE, ["red shoes for running"], 4)
    assert TOKENIZER.convert_ids_to_tokens(ids) == ["[CLS]", "red", "shoes", "[SEP]"]


@given(st.text(max_size=60), st.integers(3, 40))
def test_the_cut_is_the_tokenizers_own(text: str, max_tokens: int):
    expected = TOKENIZER(text, truncation=True, max_length=max_tokens)["input_ids"]
    assert tokenise(TOKENIZER, TEMPLATE, [text], max_tokens) == [expected]


@pytest.mark.parametrize("limit", [16, 64])
def test_threads_with_other_limits_do_not_change_a_cut(limit: int):
    with ThreadPoolExecutor(4) as threads:
        lengths = [
            len(ids[0]) for ids in threads.map(lambda most: tokenise(TOKENIZER, TEMPLATE, [LONG], most), [16, 64] * 200)
        ]
    assert {length for length, most in zip(lengths, [16, 64] * 200, strict=True) if most == limit} == {limit}
