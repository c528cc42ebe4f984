"""Words of queries and pins, BM25 and match features: numpy only, the same code offline and online.

Letters: N pairs, U queries, P pins, K text fields, V vocabulary. Field column K (the last) is "all": the fields joined.
"""

import functools
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pinrank.errors import ModelError
from pinrank.text import FIELDS

Terms = NDArray[np.uint64]
K1 = 1.2
B = 0.75
"""BM25's saturation and length normalisation, the usual values (Robertson and Zaragoza 2009)."""

COLUMNS = (*FIELDS, "all")
STATS_FILE = "lexical.safetensors"
_STATS_SIZES = "lexical.json"

_UNSPACED = (
    "\u0e00-\u0e3e\u0e40-\u0e4f"  # Thai
    "\u0e80-\u0ecf"  # Lao
    "\u1000-\u103f\u1780-\u17d3"  # Myanmar, Khmer
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul: spaced, but particles stick to the words
)
"""Letters of scripts whose words no space separates; a run of them becomes its overlapping pairs of characters."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")


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


@dataclass(frozen=True)
class LexicalStats:
    """What BM25 must know of a collection of pins.

    avg_length float64[K+1]; terms uint64[V], sorted; df int64[V, K+1]: pins that have the term in the field.
    """

    num_docs: int
    avg_length: NDArray[np.float64]
    terms: Terms
    df: NDArray[np.int64]

    def save(self, folder: Path) -> None:
        """Write lexical.safetensors and lexical.json into a folder."""
        arrays = {"avg_length": self.avg_length, "terms": self.terms, "df": self.df.astype(np.int32)}
        save_file(arrays, folder / STATS_FILE)
        (folder / _STATS_SIZES).write_text(json.dumps({"num_docs": self.num_docs, "columns": COLUMNS}, indent=1) + "\n")

    @classmethod
    def open(cls, folder: Path) -> "LexicalStats":
        """Read what `save` wrote. Raises ModelError when a file is missing, damaged or has other fields."""
        try:
            sizes = json.loads((folder / _STATS_SIZES).read_text())
            arrays = load_file(folder / STATS_FILE)
            stats = cls(sizes["num_docs"], arrays["avg_length"], arrays["terms"], arrays["df"].astype(np.int64))
        except (OSError, ValueError, KeyError, SafetensorError) as cause:
            raise ModelError(
                f"{folder}: its lexical statistics cannot be read ({cause}). Write the folder again."
            ) from cause
        if tuple(sizes["columns"]) != COLUMNS:
            raise ModelError(f"{folder}: lexical statistics of fields {sizes['columns']}, this version has {COLUMNS}")
        return stats

    def idf(self, terms: Terms) -> NDArray[np.float64]:
        """ln(1 + (N - df + 0.5) / (df + 0.5)) of each term in each column, float64[len(terms), K+1]."""
        df = np.zeros((len(terms), self.df.shape[1]), dtype=np.float64)
        if len(self.terms):
            place = np.minimum(np.searchsorted(self.terms, terms), len(self.terms) - 1)
            known = self.terms[place] == terms
            df[known] = self.df[place[known]]
        return np.asarray(np.log1p((self.num_docs - df + 0.5) / (df + 0.5)))


def tokenize(text: str) -> list[str]:
    """Words of a text: NFKC, case folded, letters and digits; scripts without spaces as pairs of characters.

    >>> tokenize("Weeknight Pasta! 寿司屋")
    ['weeknight', 'pasta', '寿司', '司屋']
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    tokens: list[str] = []
    for run, word in _word_pattern().findall(_folded(text)):
        tokens += [word] if word else _bigrams(run)
    return tokens


def term_ids(tokens: Sequence[str]) -> Terms:
    """The xxh3_64 of each token, uint64[T]."""
    return np.fromiter((_term_id(token) for token in tokens), dtype=np.uint64, count=len(tokens))


def query_terms(query: str) -> Terms:
    """The distinct term ids of a query, sorted."""
    return np.unique(term_ids(tokenize(query)))


def field_terms(rows: Sequence[Mapping[str, str | None]]) -> FieldTerms:
    """The terms of pins given as mappings from the names of text.FIELDS to their text; an absent field is empty."""
    tokens: list[str] = []
    ends = [0]
    for row in rows:
        for name in FIELDS:
            tokens += tokenize(row.get(name) or "")
            ends.append(len(tokens))
    return FieldTerms(term_ids(tokens), np.asarray(ends, dtype=np.int64))


def fit(pins: FieldTerms) -> LexicalStats:
    """Document frequencies and mean lengths of a collection of pins."""
    terms, term_of = np.unique(pins.terms, return_inverse=True)
    num_cells = max(len(pins.offsets) - 1, 1)
    cell_of = np.repeat(np.arange(len(pins.offsets) - 1), np.diff(pins.offsets))
    distinct = np.unique(term_of.astype(np.int64) * num_cells + cell_of)
    term, cell = np.divmod(distinct, num_cells)
    pin, field = np.divmod(cell, pins.num_fields)
    df = np.zeros((len(terms), pins.num_fields + 1), dtype=np.int64)
    np.add.at(df, (term, field), 1)
    first_of_pin = np.ones(len(term), dtype=bool)
    first_of_pin[1:] = (term[1:] != term[:-1]) | (pin[1:] != pin[:-1])
    df[:, -1] = np.bincount(term[first_of_pin], minlength=len(terms))
    avg_length = pins.lengths().mean(axis=0) if len(pins) else np.zeros(pins.num_fields + 1)
    return LexicalStats(len(pins), avg_length, terms, df)


def features(
    queries: Sequence[Terms],
    pins: FieldTerms,
    stats: LexicalStats,
    query_of_pair: NDArray[np.integer] | None = None,
) -> NDArray[np.float32]:
    """BM25, then the share of distinct query terms found, of every column: float32[N, 2*(K+1)].

    Pair n is pin n with queries[query_of_pair[n]]; without query_of_pair there is one query a pair. One query against
    N pins is `features([terms], pins, stats, np.zeros(N, int))`. A query without terms scores 0 everywhere.
    """
    query_of_pair = np.arange(len(pins)) if query_of_pair is None else np.asarray(query_of_pair)
    distinct = [np.unique(terms) for terms in queries]
    sizes_U = np.asarray([len(terms) for terms in distinct], dtype=np.int64)
    starts_U = starts_of(sizes_U)
    flat = np.concatenate([*distinct, np.empty(0, np.uint64)])
    sizes_N = sizes_U[query_of_pair]
    slots_N = starts_of(sizes_N)  # a slot is one distinct query term of one pair
    counts_SC = _count_matches(flat, starts_U, pins, query_of_pair, slots_N)
    pair_of_S = np.repeat(np.arange(len(sizes_N)), sizes_N)
    idf_SC = stats.idf(flat)[ranges(starts_U[query_of_pair], sizes_N)]
    norm_NC = K1 * (1 - B + B * pins.lengths() / np.maximum(stats.avg_length, 1e-9))
    weight_SC = idf_SC * counts_SC * (K1 + 1) / (counts_SC + norm_NC[pair_of_S] + 1e-12)
    bm25_NC = _sum_slots(weight_SC, slots_N)
    matched_NC = _sum_slots((counts_SC > 0).astype(np.float64), slots_N) / np.maximum(sizes_N, 1)[:, None]
    return np.asarray(np.concatenate([bm25_NC, matched_NC], axis=1), dtype=np.float32)


def bm25_scores(
    queries: Sequence[str], rows: Sequence[Mapping[str, str | None]], stats: LexicalStats
) -> NDArray[np.float64]:
    """BM25 of each (query, pin) pair over all fields joined, float64[N]: the baseline that a model must beat."""
    distinct = {query: place for place, query in enumerate(dict.fromkeys(queries))}
    query_of_pair = np.asarray([distinct[query] for query in queries], dtype=np.int64)
    scored = features([query_terms(query) for query in distinct], field_terms(rows), stats, query_of_pair)
    return scored[:, len(COLUMNS) - 1].astype(np.float64)


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


def _count_matches(
    flat: Terms,
    starts_U: NDArray[np.int64],
    pins: FieldTerms,
    query_of_pair: NDArray[np.integer],
    slots_N: NDArray[np.int64],
) -> NDArray[np.float64]:
    """How often each pair's query terms stand in each column of its pin, float64[S, K+1]."""
    num_cells = pins.num_fields
    total = int(slots_N[-1])
    vocabulary = np.unique(flat)
    if not total or not len(vocabulary) or not len(pins.terms):
        return np.zeros((total, num_cells + 1))
    word = np.minimum(np.searchsorted(vocabulary, pins.terms), len(vocabulary) - 1)
    hits = np.flatnonzero(vocabulary[word] == pins.terms)
    pin, field = np.divmod(np.searchsorted(pins.offsets, hits, side="right") - 1, num_cells)
    query = query_of_pair[pin]
    size = len(vocabulary)
    query_of_flat = np.repeat(np.arange(len(starts_U) - 1), np.diff(starts_U))
    known = query_of_flat * size + np.searchsorted(vocabulary, flat)
    asked = query * size + word[hits]
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    own = known[place] == asked
    slot = slots_N[pin[own]] + place[own] - starts_U[query[own]]
    counts_SK = np.bincount(slot * num_cells + field[own], minlength=total * num_cells).reshape(total, num_cells)
    return np.asarray(np.concatenate([counts_SK, counts_SK.sum(axis=1, keepdims=True)], axis=1), dtype=np.float64)


def _sum_slots(values_SC: NDArray[np.float64], slots_N: NDArray[np.int64]) -> NDArray[np.float64]:
    running_SC = np.concatenate([np.zeros((1, values_SC.shape[1])), np.cumsum(values_SC, axis=0)])
    return np.asarray(running_SC[slots_N[1:]] - running_SC[slots_N[:-1]])


def _folded(text: str) -> str:
    """One form of all texts that differ in case or compatibility alone (Unicode's rule D146), composed."""
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def _bigrams(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[place : place + 2] for place in range(len(run) - 1)]


@functools.lru_cache(maxsize=2**18)
def _term_id(token: str) -> int:
    return xxhash.xxh3_64_intdigest(token.encode("utf-8", "surrogatepass"))


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    """(run of an unspaced script) or (word: letters and digits, with the marks that stand on them)."""
    marks = "".join(chr(c) for c in range(0x300, 0x10000) if unicodedata.category(chr(c)) in ("Mn", "Mc"))
    spaced = rf"(?:(?![{_UNSPACED}])[^\W_])"
    return re.compile(rf"([{_UNSPACED}]+)|({spaced}(?:{spaced}|[{re.escape(marks)}])*)")
