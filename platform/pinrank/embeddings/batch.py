"""Pins on their way into a snapshot. Letters: P pins, R row width, K text fields, G parts of a row."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pinrank.embeddings.manifest import Shape
from pinrank.embeddings.pin_keys import Keys, check_hashes, key_hashes
from pinrank.lexical import FieldTerms

DELETED = np.uint64(0)
"""The stamp of a pin that is gone."""

_LARGEST_INT8 = 127

Columns = dict[str, NDArray]
"""A shard file's sections by name (pinrank.embeddings.shard_file), of any pins in any order."""


@dataclass(frozen=True)
class Batch:
    """Pins with their rows (floating, P x R) and terms, in one order; stamps_P (uint64): what each was made of, not 0.

    Raises ValueError when they do not fit together.
    """

    pin_ids: list[str]
    rows_PR: NDArray[np.floating]
    terms: FieldTerms
    stamps_P: Keys | None = None

    def __post_init__(self) -> None:
        rows, count = self.rows_PR, len(self.pin_ids)
        if not np.issubdtype(rows.dtype, np.floating) or rows.ndim != 2 or not count == len(rows) == len(self.terms):
            raise ValueError(
                f"{count} pin ids need as many rows of floating numbers and terms, got {rows.dtype} {rows.shape} and "
                f"{len(self.terms)}"
            )

    def columns(self, shape: Shape, seed: int) -> Columns:
        """The sections of these pins."""
        sizes_PK = np.diff(self.terms.offsets).reshape(len(self.terms), shape.num_fields)
        stamps_P = np.ones(len(self.pin_ids), np.uint64) if self.stamps_P is None else self.stamps_P
        return {
            "keys": key_hashes(self.pin_ids, seed),
            "checks": check_hashes(self.pin_ids),
            "stamps": np.maximum(stamps_P, DELETED + np.uint64(1)),
            **stored_rows(self.rows_PR, shape),
            "sizes": sizes_PK.astype(np.uint32),
            "languages": self.terms.languages,
            "terms": self.terms.terms,
        }


def deletions(keys_P: Keys, shape: Shape) -> Columns:
    """The sections of pins that are gone."""
    zeros_PR = np.zeros((len(keys_P), shape.row_width), dtype=np.float16)
    return {
        "keys": keys_P,
        "checks": np.zeros(len(keys_P), dtype=np.uint64),
        "stamps": np.full(len(keys_P), DELETED),
        **stored_rows(zeros_PR, shape),
        "sizes": np.zeros((len(keys_P), shape.num_fields), dtype=np.uint32),
        "languages": np.zeros(len(keys_P), dtype=np.uint8),
        "terms": np.zeros(0, dtype=np.uint64),
    }


def stored_rows(rows_PR: NDArray[np.floating], shape: Shape) -> Columns:
    """Rows as they are stored: float16, or int8 with a scale for each part of a row: largest magnitude / 127."""
    if shape.dtype == "float16":
        return {"rows": rows_PR.astype(np.float16)}
    bounds = np.cumsum([0, *shape.parts])
    largest = [np.abs(rows_PR[:, a:b]).max(axis=1, initial=0) for a, b in pairwise(bounds)]
    scales_PG = (np.stack(largest, axis=1) / _LARGEST_INT8).astype(np.float32)
    per_number_PR = np.repeat(np.where(scales_PG > 0, scales_PG, 1), shape.parts, axis=1)
    return {"rows": np.rint(rows_PR / per_number_PR).astype(np.int8), "scales": scales_PG}
