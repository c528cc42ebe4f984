"""What BM25 must know of a collection of pins: whole numbers only, so that parts add up to the whole exactly.

Letters: P pins, K text fields, V vocabulary. Field column K (the last) is "all": the fields joined.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pinrank.errors import ModelError
from pinrank.lexical.stems import SNOWBALL, WordSettings
from pinrank.lexical.terms import COLUMNS, DEFAULT_WORDS, FieldTerms, Terms

STATS_FILE = "lexical.safetensors"
SETTINGS_FILE = "lexical.json"
FORMAT = 2


@dataclass(frozen=True)
class LexicalStats:
    """Document frequencies and lengths of num_docs pins whose texts were read as `words` says.

    total_length int64[K+1]: terms of all pins in the field; terms uint64[V], sorted; df int64[V, K+1]: pins that have
    the term in the field, never all 0.
    """

    num_docs: int
    total_length: NDArray[np.int64]
    terms: Terms
    df: NDArray[np.int64]
    words: WordSettings = DEFAULT_WORDS

    @property
    def avg_length(self) -> NDArray[np.float64]:
        """Mean number of terms in each column, float64[K+1]; 0 without pins."""
        return np.asarray(self.total_length / max(self.num_docs, 1), dtype=np.float64)

    def minus(self, other: "LexicalStats") -> "LexicalStats":
        """What is left without a part of the collection: earlier texts of pins that changed, pins that are gone.

        Raises ModelError when `other` is no part of it.
        """
        found = _joined([self, _negative(other)])
        if found.num_docs < 0 or min(found.total_length, default=0) < 0 or found.df.min(initial=0) < 0:
            raise ModelError(
                f"lexical statistics of {other.num_docs} pins cannot be taken from those of {self.num_docs}: they are "
                "no part of them. Fit them anew."
            )
        return found

    def save(self, folder: Path) -> None:
        """Write lexical.safetensors and lexical.json into a folder."""
        arrays = {"total_length": self.total_length, "terms": self.terms, "df": self.df.astype(np.int32)}
        save_file(arrays, folder / STATS_FILE)
        settings = {"format": FORMAT, "num_docs": self.num_docs, "columns": COLUMNS}
        settings |= {"words": self.words.model_dump(), "snowball": SNOWBALL}
        (folder / SETTINGS_FILE).write_text(json.dumps(settings, indent=1) + "\n")

    @classmethod
    def open(cls, folder: Path) -> "LexicalStats":
        """Read what `save` wrote. Raises ModelError when a file is missing, damaged, or of another version."""
        try:
            settings = json.loads((folder / SETTINGS_FILE).read_text())
            _refuse_other(settings, folder)
            arrays = load_file(folder / STATS_FILE)
            words = WordSettings.model_validate(settings["words"])
            return cls(
                settings["num_docs"], arrays["total_length"], arrays["terms"], arrays["df"].astype(np.int64), words
            )
        except (OSError, ValueError, KeyError, SafetensorError) as cause:
            raise ModelError(
                f"{folder}: its lexical statistics cannot be read ({' '.join(str(cause).split())}). "
                "Write the folder again."
            ) from cause

    def idf(self, terms: Terms) -> NDArray[np.float64]:
        """ln(1 + (N - df + 0.5) / (df + 0.5)) of each term in each column, float64[len(terms), K+1]."""
        df = np.zeros((len(terms), self.df.shape[1]), dtype=np.float64)
        if len(self.terms):
            place = np.minimum(np.searchsorted(self.terms, terms), len(self.terms) - 1)
            known = self.terms[place] == terms
            df[known] = self.df[place[known]]
        return np.asarray(np.log1p((self.num_docs - df + 0.5) / (df + 0.5)))


def fit(pins: FieldTerms, words: WordSettings = DEFAULT_WORDS) -> LexicalStats:
    """Document frequencies and lengths of a collection of pins, whose texts were read as `words` says."""
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
    return LexicalStats(len(pins), pins.lengths().sum(axis=0), terms, df, words)


def merge(*parts: LexicalStats) -> LexicalStats:
    """The statistics of collections that have no pin in common, together: those of one fit over all their pins.

    Raises ModelError when they read their texts differently.
    """
    return _joined(parts)


def _joined(parts: Sequence[LexicalStats]) -> LexicalStats:
    if len({part.words for part in parts}) > 1:
        raise ModelError("lexical statistics of texts that were read differently cannot be joined. Fit them anew.")
    terms, term_of = np.unique(np.concatenate([part.terms for part in parts]), return_inverse=True)
    df = np.zeros((len(terms), len(COLUMNS)), dtype=np.int64)
    start = 0
    for part in parts:
        df[term_of[start : start + len(part.terms)]] += part.df  # a part's terms are distinct
        start += len(part.terms)
    known = df.any(axis=1)
    total_length = np.stack([part.total_length for part in parts]).sum(axis=0)
    return LexicalStats(sum(part.num_docs for part in parts), total_length, terms[known], df[known], parts[0].words)


def _negative(stats: LexicalStats) -> LexicalStats:
    return replace(stats, num_docs=-stats.num_docs, total_length=-stats.total_length, df=-stats.df)


def _refuse_other(settings: dict[str, Any], folder: Path) -> None:
    if settings.get("format") != FORMAT or tuple(settings["columns"]) != COLUMNS:
        raise ModelError(
            f"{folder}: lexical statistics of format {settings.get('format', 1)} with fields {settings['columns']}; "
            f"this version reads format {FORMAT} with {COLUMNS}. Train the student again."
        )
    if settings["words"]["stems"] != "none" and settings["snowball"] != SNOWBALL:
        raise ModelError(
            f"{folder}: its words were stemmed by Snowball {settings['snowball']}, here is {SNOWBALL}. Install "
            f"pystemmer {settings['snowball']}, or train the student again."
        )
