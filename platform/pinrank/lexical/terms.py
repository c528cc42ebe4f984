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

READ = ("locale", *FIELDS)
"""The columns of pin_text that become terms."""

DEFAULT_WORDS = WordSettings()

_CACHED_WORDS = 2**18
"""Words of all languages whose terms are remembered."""


@dataclass(frozen=True)
class QueryTerms:
    """The words of a query in their order, repeated ones too; they become terms in the language of a pin."""

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    def read_in(self, language: int) -> list[int]:
        """Their term ids in one of stems.LANGUAGES, by its number."""
        return [_term_id(word, language) for word in self.words]


@dataclass(frozen=True)
class FieldTerms:
    """The term ids of P pins in K fields, in row-major order, and the language in which each pin was read.

    terms uint64[T]; offsets int64[P*K+1]: field k of pin p is terms[offsets[p*K+k] : offsets[p*K+k+1]].
    languages uint8[P]: places in stems.LANGUAGES.
    """

    terms: Terms
    offsets: NDArray[np.int64]
    languages: NDArray[np.uint8]
    num_fields: int = len(FIELDS)

    def __len__(self) -> int:
        return len(self.languages)

    def lengths(self) -> NDArray[np.int64]:
        """Number of terms of each pin in each field and in all of them, int64[P, K+1]."""
        in_fields_PK = np.diff(self.offsets).reshape(len(self), self.num_fields)
        return np.concatenate([in_fields_PK, in_fields_PK.sum(axis=1, keepdims=True)], axis=1)

    def total_lengths(self) -> NDArray[np.int64]:
        """Number of terms of each pin in all fields together, int64[P]."""
        starts = self.offsets[:: self.num_fields]
        return np.asarray(starts[1:] - starts[:-1])

    def take(self, pins: NDArray[np.integer]) -> "FieldTerms":
        """The terms of some pins, by position, in the order asked and as often as asked."""
        first_cell_P = np.asarray(pins, dtype=np.int64) * self.num_fields
        starts_P = self.offsets[first_cell_P]
        cells_PK = first_cell_P[:, None] + np.arange(self.num_fields)
        sizes_PK = self.offsets[cells_PK + 1] - self.offsets[cells_PK]
        terms = self.terms[ranges(starts_P, sizes_PK.sum(axis=1))]
        return FieldTerms(terms, starts_of(sizes_PK), self.languages[pins], self.num_fields)


def query_terms(query: str) -> QueryTerms:
    """The words of a query, in their order."""
    return QueryTerms(tuple(tokenize(query)))


def field_terms(rows: Sequence[Mapping[str, str | None]], words: WordSettings = DEFAULT_WORDS) -> FieldTerms:
    """The terms of pins given as mappings from the names of READ to text; an absent field is empty.

    `words` are those of the statistics that the terms will meet. Raises ValueError for a row without a locale, which
    may be None: a pin that training reads with its locale and serving without would have other features in each.
    """
    ids: list[int] = []
    ends = [0]
    languages = [_language(row, words) for row in rows]
    for row, language in zip(rows, languages, strict=True):
        for name in FIELDS:
            if text := row.get(name):
                ids += [_term_id(word, language) for word in tokenize(text)]
            ends.append(len(ids))
    return FieldTerms(
        np.asarray(ids, dtype=np.uint64), np.asarray(ends, dtype=np.int64), np.asarray(languages, dtype=np.uint8)
    )


def term_ids(tokens: Sequence[str]) -> Terms:
    """The xxh3_64 of each token as it stands, uint64[T]."""
    return np.fromiter((_term_id(token, 0) for token in tokens), dtype=np.uint64, count=len(tokens))


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


def _language(row: Mapping[str, str | None], words: WordSettings) -> int:
    if "locale" not in row:
        raise ValueError(f"a pin's row has no 'locale', only {', '.join(row)}. Select the columns lexical.READ.")
    return language_of(row["locale"], words)


@functools.lru_cache(maxsize=_CACHED_WORDS)
def _term_id(word: str, language: int) -> int:
    return xxhash.xxh3_64_intdigest(stem(word, language).encode("utf-8", "surrogatepass"))
