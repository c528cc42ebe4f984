"""A (query, pin) pair as the token ids that a cross-encoder reads.

    [CLS] query [SEP] title | description | ... [SEP]        encoders, with their own special tokens
    <s> query \\n title | description | ...                   decoders, with a text between query and pin

With text.first "pin" the two change places.

A field is cut to its budget of tokens. When a pair is still too long, its longest fields give way first, the query
never.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pinrank.teacher.families import Pairing
from pinrank.text import FIELD_MARK, FIELDS, TextSettings

LENGTH_STEP = 16
"""Batches are padded to a multiple of this: oneDNN keeps what it compiled for each shape that it has met, and with a
shape for every length a training process grows by gigabytes."""


class Prompt(NamedTuple):
    """One tokenised pair; a tuple, as there are millions and a frozen dataclass takes thrice as long to make.

    second_start is the position of the first token of type 1 (BERT's second segment), or the length of the
    prompt where the tokenizer knows no token types.
    """

    token_ids: list[int]
    second_start: int


@dataclass(frozen=True)
class Template:
    """The tokens around a pair: before the query, between query and pin, after the pin."""

    before: list[int]
    between: list[int]
    after: list[int]
    typed: bool

    def __len__(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)


@dataclass(frozen=True)
class PairTokenizer:
    """Tokenises pairs of a query and a pin, which is a text that pinrank.text.packed made, or any other."""

    tokenizer: Any
    text: TextSettings
    template: Template

    @classmethod
    def open(cls, folder: str, text: TextSettings, pairing: Pairing | None = None) -> "PairTokenizer":
        """Open the tokenizer of a folder; `pairing` is by default what suits the folder's family."""
        from transformers import AutoConfig, AutoTokenizer

        from pinrank.teacher.families import family_of

        tokenizer = AutoTokenizer.from_pretrained(folder)
        pairing = pairing or family_of(AutoConfig.from_pretrained(folder).model_type).pairing
        between = None if pairing == "native" else text.pair_separator
        return cls(tokenizer, text, template_of(tokenizer, between))

    @property
    def pad_id(self) -> int:
        """What pads a batch; any id will do where the tokenizer names none, as padding is masked."""
        return int(self.tokenizer.pad_token_id or 0)

    def prompts(self, pairs: Sequence[tuple[str, str]]) -> list[Prompt]:
        """(query, pin) pairs to prompts of at most text.max_tokens tokens, in the order given."""
        segments_of = {pin: self._segments(pin) for _, pin in pairs}
        distinct = {query for query, _ in pairs}.union(*(dict(segments) for segments in segments_of.values()))
        ids_of = self._token_ids(distinct)
        separator = len(token_ids(self.tokenizer, [self.text.separator])[0])
        return [self._prompt(ids_of[query], segments_of[pin], ids_of, separator) for query, pin in pairs]

    def _segments(self, pin: str) -> list[tuple[str, int]]:
        """The non-empty fields as they are tokenised, all but the first behind a separator, with their budgets."""
        fields = pin.split(FIELD_MARK)
        known = len(fields) == len(FIELDS)
        budgets = [getattr(self.text.budgets, name) for name in FIELDS] if known else [self.text.max_tokens]
        filled = [(field, budget) for field, budget in zip(fields, budgets, strict=False) if field and budget]
        first, rest = filled[:1], filled[1:]
        return [*first, *((f"{self.text.separator}{field}", budget) for field, budget in rest)]

    def _token_ids(self, texts: Iterable[str]) -> dict[str, list[int]]:
        ordered = sorted(texts)
        return dict(zip(ordered, token_ids(self.tokenizer, ordered), strict=True))

    def _prompt(
        self, query: list[int], segments: list[tuple[str, int]], ids_of: dict[str, list[int]], separator: int
    ) -> Prompt:
        query = query[: self.text.max_query_tokens]
        kept = [ids_of[text][: budget + separator * (place > 0)] for place, (text, budget) in enumerate(segments)]
        pin_first = self.text.first == "pin"
        # A pin that is read first is the same for every query, or no cache could serve it.
        room = self.text.max_tokens - len(self.template) - (self.text.max_query_tokens if pin_first else len(query))
        pin: list[int] = []
        for ids, share in zip(kept, shares([len(ids) for ids in kept], room), strict=True):
            if share > separator * bool(pin):  # a separator alone says nothing
                pin += ids[:share]
        one, other = (pin, query) if pin_first else (query, pin)
        start = len(self.template.before) + len(one) + len(self.template.between)
        ids = [*self.template.before, *one, *self.template.between, *other, *self.template.after]
        return Prompt(ids, start if self.template.typed else len(ids))


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How much of each length fits into `room` together when the longest give way first; the earlier get the rest."""
    if sum(lengths) <= room:
        return list(lengths)
    limit, left = 0, max(room, 0)
    longer = sorted(lengths)
    while longer and (step := longer[0] - limit) * len(longer) <= left:
        left -= step * len(longer)
        limit = longer.pop(0)
    each, rest = divmod(left, len(longer)) if longer else (0, 0)
    found = []
    for length in lengths:
        extra = each + (rest > 0) if length > limit else 0
        rest -= length > limit and rest > 0
        found.append(min(length, limit + extra))
    return found


def template_of(tokenizer: Any, between: str | None) -> Template:
    """How a tokenizer frames a pair: its own special tokens, or those of one text with `between` inside."""
    query, pin = token_ids(tokenizer, ["a", "b"])
    if between is None:
        encoded = tokenizer("a", "b", return_token_type_ids=True)
        whole, types = encoded["input_ids"], encoded["token_type_ids"]
        start = _find(whole, query, 0)
        second = _find(whole, pin, start + len(query))
        framed = (whole[:start], whole[start + len(query) : second], whole[second + len(pin) :])
        return Template(*framed, typed=1 in types)
    whole = tokenizer("a")["input_ids"]
    start = _find(whole, query, 0)
    return Template(whole[:start], token_ids(tokenizer, [between])[0], whole[start + len(query) :], typed=False)


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids of texts without special tokens."""
    if not texts:
        return []
    options = {"add_special_tokens": False, "return_attention_mask": False, "return_token_type_ids": False}
    return list(tokenizer(list(texts), verbose=False, **options)["input_ids"])


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


def _find(whole: list[int], part: list[int], start: int) -> int:
    return next(place for place in range(start, len(whole)) if whole[place : place + len(part)] == part)
