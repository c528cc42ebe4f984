"""The statistics of a whole table of pins: counted stretch by stretch, and brought up to date by the rows that differ.

A folder of such statistics holds lexical.safetensors, lexical.json, and manifest.json, which says what rows they count.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank import logs
from pinrank.durable import replace_folder, staging_of, write_text
from pinrank.errors import ModelError
from pinrank.keys import column_hashes, mixed
from pinrank.lexical.stats import LexicalStats, fit, merge
from pinrank.lexical.stems import WordSettings
from pinrank.lexical.terms import DEFAULT_WORDS, READ, field_terms
from pinrank.parquet import cast
from pinrank.ray_units import Workers
from pinrank.tables import PIN_TEXT, Table, read_columns

MANIFEST = "manifest.json"

_NAMED = ("pin_id", "locale", "fingerprint")
_NEEDED = ("pin_id", "fingerprint", *READ)
_COLUMNS = Table("pin_text", pa.schema([PIN_TEXT.schema.field(name) for name in _NEEDED]), ("pin_id", "fingerprint"))
_ROWS_AT_ONCE = 20_000
"""Rows whose texts are Python strings at a time."""
_PARTS_AT_ONCE = 16
"""Statistics that are joined at a time: one by one, the whole vocabulary would be sorted for each."""

Keys = NDArray[np.uint64]
_NO_KEYS: Keys = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Counted:
    """Which rows of a table are in the statistics: how many, and the sum of their keys, whatever their order."""

    num_pins: int
    sum_of_keys: str

    @classmethod
    def of(cls, keys_P: Keys) -> "Counted":
        """Of rows with these keys."""
        return cls(len(keys_P), f"{int(keys_P.sum(dtype=np.uint64)):016x}")

    def save(self, folder: Path) -> None:
        """Write manifest.json."""
        write_text(folder / MANIFEST, json.dumps({"num_pins": self.num_pins, "sum_of_keys": self.sum_of_keys}))

    @classmethod
    def open(cls, folder: Path) -> "Counted":
        """Read what `save` wrote; ModelError when there is none."""
        try:
            return cls(**json.loads((folder / MANIFEST).read_text()))
        except (OSError, ValueError, TypeError) as cause:
            raise ModelError(
                f"{folder}: no {MANIFEST} says which rows its statistics count ({' '.join(str(cause).split())}). "
                "Fit them anew, without --before."
            ) from cause


def keys_of(path: str) -> Keys:
    """A hash of what decides a pin's terms, its id, locale and texts' fingerprint, for each row of a pin_text table."""
    return _keys(read_columns(path, PIN_TEXT, _NAMED))


def fit_rows(pin_text: pa.Table, words: WordSettings = DEFAULT_WORDS) -> LexicalStats:
    """The statistics of rows of pin_text that lie in memory, of which few are Python strings at a time."""
    starts = range(0, pin_text.num_rows, _ROWS_AT_ONCE)
    return _joined((_fit(pin_text.slice(start, _ROWS_AT_ONCE), words) for start in starts), words)


def fit_table(path: str, words: WordSettings, rows: int, workers: Workers) -> tuple[LexicalStats, Counted]:
    """The statistics of all rows of a pin_text table, and what they count."""
    return count(path, words, _NO_KEYS, rows, workers), Counted.of(keys_of(path))


def update(folder: Path, before: str, now: str, rows: int, workers: Workers) -> tuple[LexicalStats, Counted]:
    """The statistics in a folder, which count the table `before`, brought to count the table `now`.

    Only rows that differ are read for their words: those of `before` that changed or are gone are taken away, those of
    `now` that are new or changed are added. Raises ModelError when the statistics count other rows than `before` has.
    """
    stats, counted = LexicalStats.open(folder), Counted.open(folder)
    before_keys, now_keys = keys_of(before), keys_of(now)
    if Counted.of(before_keys) != counted:
        raise ModelError(
            f"{folder}: its statistics count {counted.num_pins} pins whose texts are not those of {before}. Give the "
            "table that they were fitted on, or fit them anew, without --before."
        )
    gone = count(before, stats.words, now_keys, rows, workers)
    new = count(now, stats.words, before_keys, rows, workers)
    return merge(stats, new).minus(gone), Counted.of(now_keys)


def open_for(folder: Path, pin_text: pa.Table, words: WordSettings = DEFAULT_WORDS) -> LexicalStats:
    """The statistics in a folder, for these rows of pin_text and no others.

    Raises ModelError when they count other rows, or read them otherwise than `words` says.
    """
    stats, counted = LexicalStats.open(folder), Counted.open(folder)
    if Counted.of(_keys(pin_text)) != counted:
        raise ModelError(
            f"{folder}: its statistics count {counted.num_pins} pins whose texts are not those of pin_text. Run "
            "fit_lexical again."
        )
    if stats.words != words:
        raise ModelError(
            f"{folder}: its words were read with {stats.words}, not {words}. Give both jobs the same words."
        )
    return stats


def save(stats: LexicalStats, counted: Counted, folder: Path) -> None:
    """Write a folder of statistics in the place of an earlier one, in one rename."""
    staging = staging_of(folder)
    stats.save(staging)
    counted.save(staging)
    replace_folder(staging, folder)


def count(path: str, words: WordSettings, counted: Keys, rows: int, workers: Workers) -> LexicalStats:
    """The statistics of the rows of a pin_text table whose keys are not among these.

    rows: of a unit of work. Raises TableError for a table that is missing, damaged or of other columns.
    """
    work = partial(_count, words=words, counted=np.sort(counted))
    return _joined(workers.each(work, logs.cut(path, _COLUMNS, rows)), words)


def _count(stretch: logs.Stretch, words: WordSettings, counted: Keys) -> LexicalStats:
    return _joined(_counts(stretch, words, counted), words)


def _counts(stretch: logs.Stretch, words: WordSettings, counted: Keys) -> Iterator[LexicalStats]:
    for _, piece in logs.pieces(stretch, _COLUMNS.schema.names, _ROWS_AT_ONCE):
        rows = cast(piece, _COLUMNS.schema, stretch.file)
        if len(counted):
            rows = rows.filter(pa.array(~_among(_keys(rows), counted)))
        yield _fit(rows, words)


def _fit(rows: pa.Table, words: WordSettings) -> LexicalStats:
    return fit(field_terms(rows.select(list(READ)).to_pylist(), words), words)


def _joined(parts: Iterable[LexicalStats], words: WordSettings) -> LexicalStats:
    held = [fit(field_terms([], words), words)]
    for part in parts:
        held.append(part)
        if len(held) > _PARTS_AT_ONCE:
            held = [merge(*held)]
    return merge(*held)


def _keys(rows: pa.Table) -> Keys:
    ids_P, locales_P, fingerprints_P = (column_hashes(pc.fill_null(rows.column(name), "")) for name in _NAMED)
    return mixed(mixed(ids_P, locales_P), fingerprints_P)


def _among(keys_P: Keys, sorted_keys: Keys) -> NDArray[np.bool_]:
    place_P = np.minimum(sorted_keys.searchsorted(keys_P), len(sorted_keys) - 1)
    return np.asarray(sorted_keys[place_P] == keys_P)
