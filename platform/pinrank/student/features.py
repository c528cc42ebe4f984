"""The features of a (query, pin) pair beside its two vectors, and the specification that holds offline and online.

Letters: N pairs, F features.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pinrank import lexical
from pinrank.errors import ModelError
from pinrank.lexical import FieldTerms, LexicalStats, QueryTerms

Floats = NDArray[np.float32]

NAMES = (
    *lexical.NAMES,
    "query_terms",
    "pin_terms",
    "title_terms",
    "filled_fields",
)
"""Every feature in the order of its column; the *_terms are ln(1 + number of terms)."""

SPEC_FILE = "feature_spec.json"


class FeatureSpec(BaseModel):
    """Names, order and normaliser of the features, written by training and read by serving.

    normalised = clip((raw - mean) / std, -limit, limit), float32.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...] = NAMES
    dtype: str = "float32"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    limit: float = Field(6.0, gt=0, description="normalised values are cut here, so that no outlier drives the MLP")
    cosine_centre: float = Field(0.4, description="the MLP sees (cosine - centre) * scale")
    cosine_scale: float = Field(5.0, gt=0)

    @model_validator(mode="after")
    def _fits_this_version(self) -> "FeatureSpec":
        if self.names != NAMES or self.dtype != "float32":
            raise ValueError(f"made for features {self.names} as {self.dtype}; this version computes {NAMES}")
        if not len(self.mean) == len(self.std) == len(self.names) or min(self.std) <= 0:
            raise ValueError("needs one mean and one positive std for every feature")
        return self

    @property
    def num_features(self) -> int:
        return len(self.names)

    @cached_property
    def hash(self) -> str:
        """16 hex digits (BLAKE2b) of everything in the specification."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    def normalise(self, raw_NF: Floats) -> Floats:
        """Raw features to what the MLP reads, float32[N, F]."""
        mean_F, std_F = self._normaliser
        return np.clip((raw_NF - mean_F) / std_F, -self.limit, self.limit)

    @cached_property
    def _normaliser(self) -> tuple[Floats, Floats]:
        return np.asarray(self.mean, dtype=np.float32), np.asarray(self.std, dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write feature_spec.json, with the hash for readers that only compare."""
        content = self.model_dump(mode="json") | {"hash": self.hash}
        (folder / SPEC_FILE).write_text(json.dumps(content, indent=1) + "\n")

    @classmethod
    def open(cls, folder: Path) -> "FeatureSpec":
        """Read what `save` wrote. Raises ModelError when it is missing, altered or of another version."""
        path = folder / SPEC_FILE
        try:
            content = json.loads(path.read_text())
            written = content.pop("hash")
            spec = cls.model_validate(content)
        except (OSError, KeyError, TypeError, AttributeError, json.JSONDecodeError, ValidationError) as cause:
            raise ModelError(
                f"{path}: no feature specification: {' '.join(str(cause).split())}. Train again."
            ) from cause
        if spec.hash != written:
            raise ModelError(f"{path}: its hash is {written}, its content has {spec.hash}. Train the student again.")
        return spec


def raw_features(
    queries: Sequence[QueryTerms],
    pins: FieldTerms,
    stats: LexicalStats,
    query_of_pair: NDArray[np.integer] | None = None,
) -> Floats:
    """The features before normalisation, float32[N, F], columns as in NAMES.

    Pair n is pin n with queries[query_of_pair[n]]; without query_of_pair there is one query a pair.
    """
    matches = lexical.features(queries, pins, stats, query_of_pair)
    sizes_U = np.asarray([len(terms) for terms in queries], dtype=np.float32)
    sizes_N = sizes_U if query_of_pair is None else sizes_U[query_of_pair]
    lengths_NC = pins.lengths()
    filled_N = (lengths_NC[:, :-1] > 0).sum(axis=1)
    counts = np.stack([np.log1p(sizes_N), np.log1p(lengths_NC[:, -1]), np.log1p(lengths_NC[:, 0]), filled_N], axis=1)
    return np.concatenate([matches, counts.astype(np.float32)], axis=1)


def fit(raw_NF: Floats) -> FeatureSpec:
    """The specification whose normaliser has these raw features at mean 0 and standard deviation 1."""
    std_F = raw_NF.std(axis=0, dtype=np.float64)
    return FeatureSpec(
        mean=tuple(round(float(value), 6) for value in raw_NF.mean(axis=0, dtype=np.float64)),
        std=tuple(round(float(value), 6) if value > 1e-4 else 1.0 for value in std_F),
    )
