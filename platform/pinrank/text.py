"""From a query and a pin's fields to the text that the teacher and the encoders read."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FIELDS = (
    "title",
    "description",
    "caption",
    "board_titles",
    "query_tokens",
    "link_title",
    "link_description",
)
"""The seven text fields of a pin, in the order in which the models read them."""

LIST_SEPARATOR = ", "
"""Joins the entries of a field that is a list: board titles, captions."""

FIELD_MARK = "\x1f"
"""Stands between the fields of a packed pin; `tidy` leaves it in no text."""

LONGEST_TOKEN = 16
"""Characters; no tokenizer's tokens are longer on average, so a cut at this many a token never takes what it keeps."""

_SPACE = re.compile(r"\s+")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode categories Cc (control) and Cs (half a surrogate pair, which no UTF-8 file can hold)."""
_UNSEEN = re.compile(r"[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe0e\ufe0f\ufeff]")
"""Marks that change no word: soft hyphen, direction marks, spaces of no width, how an emoji is drawn. The joiners
U+200C and U+200D stay: Persian, Indic scripts and many emoji are written with them."""


class FieldBudgets(BaseModel):
    """How many tokens of each field the teacher may read, and words the student; 0 switches a field off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: int = Field(32, ge=0, description="tokens of the title, at most")
    description: int = Field(48, ge=0, description="tokens of the description, at most")
    caption: int = Field(40, ge=0, description="tokens of the picture's caption, at most")
    board_titles: int = Field(24, ge=0, description="tokens of the titles of boards that hold the pin, at most")
    query_tokens: int = Field(16, ge=0, description="tokens of words from queries that led to the pin, at most")
    link_title: int = Field(24, ge=0, description="tokens of the linked page's title, at most")
    link_description: int = Field(40, ge=0, description="tokens of the linked page's description, at most")


class TextSettings(BaseModel):
    """How a (query, pin) pair becomes text. Stored with every model, so that all readers agree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budgets: FieldBudgets = FieldBudgets()
    separator: str = Field(" | ", min_length=1, description="between two fields of a pin")
    pair_separator: str = Field("\n", min_length=1, description="between query and pin, for decoders")
    first: Literal["query", "pin"] = Field(
        "query", description="what the teacher reads first; pin: a decoder's cache serves all queries of a pin"
    )
    max_query_tokens: int = Field(48, ge=1, description="a longer query is cut here, never further")
    max_tokens: int = Field(128, ge=8, description="of the whole pair, special tokens included")

    @model_validator(mode="after")
    def _leaves_room_for_the_pin(self) -> "TextSettings":
        if self.max_tokens < self.max_query_tokens + 5:
            raise ValueError(
                f"max_tokens ({self.max_tokens}) must exceed max_query_tokens ({self.max_query_tokens}) by at "
                "least 5, or a long query leaves no room for the pin"
            )
        return self


def tidy(text: str | None) -> str:
    """NFC, control characters and runs of white space to one space, trimmed; None becomes ''."""
    if not text:
        return ""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # the same, and most texts are such
    visible = _INVISIBLE.sub(" ", unicodedata.normalize("NFC", text))
    return _SPACE.sub(" ", visible).strip()


def normalise_query(query: str) -> str:
    """The form under which two spellings of one query are the same: NFKC, case folded, no unseen marks, tidied.

    Normalising twice changes nothing: folding can take a letter apart, so it is composed again afterwards.
    """
    if query.isascii() and query.isprintable():
        return " ".join(query.lower().split())  # the same, and most queries are such
    folded = unicodedata.normalize("NFKC", _UNSEEN.sub("", query)).casefold()
    return tidy(unicodedata.normalize("NFKC", folded))


def normalise_id(name: str) -> str:
    """The form under which two spellings of one id are the same: NFC, no control characters or unseen marks, trimmed.

    Case counts, and so do inner spaces: ids that differ in them are different ids.
    """
    return unicodedata.normalize("NFC", _UNSEEN.sub("", _INVISIBLE.sub("", name))).strip()


def pin_text(fields: Mapping[str, str], settings: TextSettings) -> str:
    """A pin as one text: its non-empty fields in the order of FIELDS, each cut to its budget of words."""
    return settings.separator.join(part for part in _cut_fields(fields, settings) if part)


def packed(fields: Mapping[str, str], settings: TextSettings) -> str:
    """A pin as one text that still knows its fields: all of FIELDS, cut cheaply, between FIELD_MARKs; '' when empty.

    The cut takes nothing that the budgets of tokens would keep; PairTokenizer does the exact one.
    """
    parts = _cut_fields(fields, settings)
    return FIELD_MARK.join(parts) if any(parts) else ""


def _cut_fields(fields: Mapping[str, str], settings: TextSettings) -> list[str]:
    cut = []
    for name in FIELDS:
        budget = getattr(settings.budgets, name)
        words = (fields.get(name) or "")[: budget * LONGEST_TOKEN].split(None, budget)[:budget]
        cut.append(" ".join(words))
    return cut


def fingerprint(fields: Mapping[str, str]) -> str:
    """32 hex digits (BLAKE2b-128) of a pin's text, blind to case and white space.

    Two pins whose fields differ only in these have the same fingerprint and need no second embedding.
    """
    said = "".join(normalise_query(fields.get(name) or "") + FIELD_MARK for name in FIELDS)
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def pair_key(query: str, pin_id: str) -> str:
    """32 hex digits (BLAKE2b-128) that name a (query, pin) pair, whatever the query's spelling."""
    return pair_keys([query], [pin_id])[0]


def pair_keys(queries: Sequence[str], pin_ids: Sequence[str]) -> list[str]:
    """`pair_key` of many pairs, in their order; a query that comes again and again is normalised once."""
    before = {query: f"{normalise_query(query)}\x1f".encode() for query in set(queries)}
    return [
        hashlib.blake2b(before[query] + pin_id.encode(), digest_size=16).hexdigest()
        for query, pin_id in zip(queries, pin_ids, strict=True)
    ]


def join_list(entries: Sequence[str] | None) -> str:
    """A list field as one text; empty and repeated entries are left out."""
    if entries is None:
        return ""
    return LIST_SEPARATOR.join(dict.fromkeys(kept for entry in entries if (kept := tidy(entry))))
