"""Pins of no locale for the tests of this folder."""

from collections.abc import Mapping, Sequence

from pinrank import lexical

PINS: list[dict[str, str]] = [
    {"title": "weeknight pasta", "description": "pasta with lemon, pasta with basil", "link_title": "Easy pasta"},
    {"title": "red sofa", "description": "a sofa for a small flat"},
    {"title": "lemon cake"},
    {},
]


def read(rows: Sequence[Mapping[str, str]], words: lexical.WordSettings | None = None) -> lexical.FieldTerms:
    """The terms of pins whose locale is not known."""
    unknown: dict[str, str | None] = {"locale": None}
    return lexical.field_terms([unknown | row for row in rows], words or lexical.WordSettings())
