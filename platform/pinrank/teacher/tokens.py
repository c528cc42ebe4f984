"""A (query, pin text) pair as the token ids that a cross-encoder reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pinrank.text import TextSettings

LENGTH_STEP = 16
"""Batches are padded to a multiple of this: oneDNN keeps what it compiled for each shape that it has met, and with a
shape for every length a training process grows by gigabytes."""


@dataclass(frozen=True)
class Prompt:
    """One tokenised pair.

    second_start is the position of the first token of type 1 (BERT's second segment), or the length of the
    prompt where the backbone knows no token types.
    """

    token_ids: list[int]
    second_start: int


@dataclass(frozen=True)
class PairTokenizer:
    """Tokenises pairs with the backbone's own separators; truncation takes from the pin, never from the query."""

    tokenizer: Any
    text: TextSettings

    @classmethod
    def open(cls, folder: str, text: TextSettings) -> "PairTokenizer":
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(folder), text)

    def prompts(self, pairs: Sequence[tuple[str, str]]) -> list[Prompt]:
        """(query, pin text) pairs to prompts of at most text.max_tokens tokens, in the order given."""
        if not pairs:
            return []
        shortened = {query: self._shortened(query) for query, _ in pairs}
        encoded = self.tokenizer(
            [shortened[query] for query, _ in pairs],
            [text for _, text in pairs],
            truncation="only_second",
            max_length=self.text.max_tokens,
            return_token_type_ids=True,
            return_attention_mask=False,
        )
        types = encoded["token_type_ids"]
        return [
            Prompt(ids, kinds.index(1) if 1 in kinds else len(ids))
            for ids, kinds in zip(encoded["input_ids"], types, strict=True)
        ]

    def _shortened(self, query: str) -> str:
        limit = self.text.max_query_tokens
        if len(query) <= limit:  # a token covers one character at least
            return query
        encoded = self.tokenizer(
            query, add_special_tokens=False, truncation=True, max_length=limit, return_offsets_mapping=True
        )
        offsets = encoded["offset_mapping"]
        return query[: offsets[-1][1]] if offsets else query


def padded(prompts: Sequence[Prompt], pad_id: int, uses_types: bool) -> dict[str, Any]:
    """Prompts as right-padded int64 tensors: input_ids_NT, attention_mask_NT and, if asked, token_type_ids_NT.

    T is the longest prompt's length, rounded up to a multiple of LENGTH_STEP.
    """
    import torch

    longest = rounded_up(max(len(prompt.token_ids) for prompt in prompts), LENGTH_STEP)
    input_ids_NT = torch.full((len(prompts), longest), pad_id, dtype=torch.long)
    attention_mask_NT = torch.zeros((len(prompts), longest), dtype=torch.long)
    token_type_ids_NT = torch.zeros((len(prompts), longest), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        length = len(prompt.token_ids)
        input_ids_NT[row, :length] = torch.tensor(prompt.token_ids)
        attention_mask_NT[row, :length] = 1
        token_type_ids_NT[row, prompt.second_start : length] = 1
    batch = {"input_ids": input_ids_NT, "attention_mask": attention_mask_NT}
    return batch | {"token_type_ids": token_type_ids_NT} if uses_types else batch


def rounded_up(number: int, step: int) -> int:
    """The smallest multiple of step that is no less than number."""
    return -(-number // step) * step
