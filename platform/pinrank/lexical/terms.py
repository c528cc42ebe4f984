"""Words to term ids: those of a query in its order, and those of many pins, field by field.

Letters: P pins, K text fields. Field column K (the last) is "all": the fields joined.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from pinrank.lexical.stems import WordSettings, language_of, stem
from pinrank.lexical.words import tokenize
from pinrank.text import FIELDS

Terms = NDArray[np.uint64]

COLUMNS = (*FIELDS, "all")

AS_THEY_STAND = WordSettings()


@dataclass(frozen=True)
class FieldTerms:
    """The term ids of P pins in K fields, in row-major order.

    terms uint64[T]; offsets int64[P*K+1]: field k of pin p is terms[offsets[p*K+k] : offsets[p*K+k+1]].
    """

    terms: Terms
    offsets: NDArray[np.int64]
    num_fields: int = len(FIELDS)

    def __len__(self) -> int:
        return (len(self.offsets) - 1) // self.num_fields

    def lengths(self) -> NDArray[np.int64]:
        """Number of terms of each pin in each field and in all of them, int64[P, K+1]."""
        in_fields_PK = np.diff(self.offsets).reshape(len(self), self.num_fields)
        return np.concatenate([in_fields_PK, in_fields_PK.sum(axis=1, keepdims=True)], axis=1)

    def take(self, pins: NDArray[np.integer]) -> "FieldTerms":
        """The terms of some pins, by position, in the order asked and as often as asked."""
        first_cell_P = np.asarray(pins, dtype=np.int64) * self.num_fields
        starts_P = self.offsets[first_cell_P]
        cells_PK = first_cell_P[:, None] + np.arange(self.num_fields)
        sizes_PK = self.offsets[cells_PK + 1] - self.offsets[cells_PK]
        return FieldTerms(self.terms[ranges(starts_P, sizes_PK.sum(axis=1))], starts_of(sizes_PK), self.num_fields)


def query_terms(query: str, locale: str | None = None, words: WordSettings = AS_THEY_STAND) -> Terms:
    """The term ids of a query in the order of its words, repeated ones too, uint64[T].

    `words` are those of the statistics that the terms will meet.
    """
    return term_ids(_read(query, _language(locale, words)))


def field_terms(rows: Sequence[Mapping[str, str | None]], words: WordSettings = AS_THEY_STAND) -> FieldTerms:
    """The terms of pins given as mappings from the names of text.FIELDS, and 'locale', to text; absent ones are ''."""
    tokens: list[str] = []
    ends = [0]
    for row in rows:
        language = _language(row.get("locale"), words)
        for name in FIELDS:
            if text := row.get(name):
                tokens += _read(text, language)
            ends.append(len(tokens))
    return FieldTerms(term_ids(tokens), np.asarray(ends, dtype=np.int64))


def term_ids(tokens: Sequence[str]) -> Terms:
    """The xxh3_64 of each token, uint64[T]."""
    return np.fromiter(map(_term_id, tokens), dtype=np.uint64, count=len(tokens))


def starts_of(sizes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Offsets of consecutive pieces: 0, then the running sum of their sizes."""
    starts = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes.ravel(), out=starts[1:])
    return starts


def ranges(starts: NDArray[np.integer], sizes: NDArray[np.integer]) -> NDArray[np.int64]:
    """start, start + 1, ... for each piece, one after the other, int64[sum(sizes)]."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - sizes), sizes), dtype=np.int64)


def _language(locale: str | None, words: WordSettings) -> str | None:
    return language_of(locale) if words.stems == "locale" else None


def _read(text: str, language: str | None) -> list[str]:
    tokens = tokenize(text)
    return tokens if language is None else [stem(token, language) for token in tokens]


@functools.lru_cache(maxsize=2**18)
def _term_id(token: str) -> int:
    return xxhash.xxh3_64_intdigest(token.encode("utf-8", "surrogatepass"))
