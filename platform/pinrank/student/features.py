"""The fitted specification: from what is known of a pair to the numbers that the MLP reads, the same off- and online.

Training fits it and writes feature_spec.json; serving reads it, and nothing else decides an order.

Letters: N pairs, F pair features, W numbers of a side, M buckets of a side, D vector of an external embedding.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pinrank.errors import ModelError
from pinrank.student.declaration import Declaration, SideName
from pinrank.student.inputs import EmbeddingShape, Shapes, Side, SideShape
from pinrank.student.values import Floats, Values, present

SPEC_FILE = "feature_spec.json"

MISSING, UNKNOWN, NUM_SPECIAL = 0, 1, 2
"""The first rows of every embedding table."""

NO_BUCKET = -1


class Order(BaseModel):
    """The columns of the three parts, for readers of the file; a side's are its numbers, then its embedding tables."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pair: tuple[str, ...]
    query: tuple[str, ...]
    pin: tuple[str, ...]


class Space(BaseModel):
    """An external embedding: the version that training read, and the length of its vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    dim: int = Field(ge=1)


class FeatureSpec(BaseModel):
    """Order, dtypes, statistics and vocabularies of the features, written by training and read by serving.

    A number is clip((x - mean) / std, -limit, limit), with x = ln(1 + raw) where log1p is declared; a missing one is 0
    and the column after it, NAME.missing, 1. A vector of an external embedding has length sqrt(D), as D such numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    declared: Declaration
    dtype: str = "float32"
    order: Order
    statistics: dict[str, tuple[float, float]] = Field(description="mean and standard deviation of each number")
    vocabularies: dict[str, tuple[str, ...]] = Field({}, description="SIDE.NAME: values in the order of their rows")
    spaces: dict[str, Space] = Field({}, description="external embeddings by name")
    cosine_centre: float = Field(0.4, description="the MLP sees (cosine of the towers - centre) * scale")
    cosine_scale: float = Field(5.0, gt=0)

    @model_validator(mode="after")
    def _fits_this_version(self) -> "FeatureSpec":
        wanted = order_of(self.declared)
        if self.order != wanted or self.dtype != "float32":
            raise ValueError(f"has the columns {self.order} as {self.dtype}; this version computes {wanted}")
        numbers = set(numbers_of(self.declared))
        if self.statistics.keys() != numbers or any(not std > 0 for _, std in self.statistics.values()):
            raise ValueError(f"needs a mean and a positive deviation of each of {', '.join(sorted(numbers))}")
        if self.vocabularies.keys() != set(categories_of(self.declared)):
            raise ValueError("needs a vocabulary for each categorical feature")
        if self.spaces.keys() != self.declared.external.keys():
            raise ValueError("needs version and length of each external embedding")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The pair features in the order of their columns; the MLP reads the cosine of the towers after them."""
        return self.order.pair

    @property
    def num_features(self) -> int:
        return len(self.order.pair)

    @cached_property
    def shapes(self) -> Shapes:
        """How wide the MLP's features are."""
        return Shapes(self.num_features, self._shape("query"), self._shape("pin"))

    @property
    def space_dim(self) -> int:
        """Numbers of a pin's vectors in the external embeddings of both sides, which the pin store must hold."""
        return sum(self.spaces[name].dim for name in self.declared.spaces)

    @cached_property
    def hash(self) -> str:
        """16 hex digits (BLAKE2b) of everything in the specification, order included."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()

    def side(self, side: SideName, values: Values) -> Side[NDArray[np.generic]]:
        """The features of queries or of pins alone: numbers_NW float32 and buckets_NM int32."""
        columns = self.declared.columns(side)
        numbers = [self._vector(side, name, values) for name in self.declared.externals(side)]
        numbers += [self._number(f"{side}.{name}", name, each.log1p, values) for name, each in columns.numeric.items()]
        buckets = [
            self._buckets(f"{side}.{name}", each.max_values, values.words.get(name), values.num_rows)
            for name, each in columns.categorical.items()
        ]
        return Side(
            np.concatenate([np.zeros((values.num_rows, 0), np.float32), *numbers], axis=1),
            np.concatenate([np.zeros((values.num_rows, 0), np.int32), *buckets], axis=1),
        )

    def pair(self, texts_NT: Floats, pairs: Values, query_NS: Floats, pin_NS: Floats) -> Floats:
        """The pair features, float32[N, F]: those of the texts (as pair_features.of_texts gives them), the declared
        columns of pairs, and the cosines of the external embeddings of both sides.

        query_NS and pin_NS as `space_vectors` gives them; a query may be one row for all pins.
        """
        declared = self.declared
        numbers = [
            self._number(f"pair.{name}", name, each.log1p, pairs) for name, each in declared.pair.numeric.items()
        ]
        cosines = self._cosines(query_NS, pin_NS, len(texts_NT))
        mean_T, std_T = self._of_texts
        normal_NT = np.clip((texts_NT - mean_T) / std_T, -declared.limit, declared.limit)
        return np.concatenate([normal_NT, *numbers, *cosines], axis=1, dtype=np.float32)

    def space_vectors(self, values: Values) -> Floats:
        """The vectors in the external embeddings of both sides, one after the other: float32[N, S]."""
        parts = [self._unit(name, values) for name in self.declared.spaces]
        return np.concatenate([np.zeros((values.num_rows, 0), np.float32), *parts], axis=1)

    def save(self, folder: Path) -> None:
        """Write feature_spec.json, with the hash for readers that only compare."""
        content = self.model_dump(mode="json") | {"hash": self.hash}
        (folder / SPEC_FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")

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

    def _shape(self, side: SideName) -> SideShape:
        columns = self.declared.columns(side)
        return SideShape(
            sum(self.spaces[name].dim + 1 for name in self.declared.externals(side)) + 2 * len(columns.numeric),
            tuple(
                EmbeddingShape(NUM_SPECIAL + len(self.vocabularies[f"{side}.{name}"]), each.dim, each.max_values)
                for name, each in columns.categorical.items()
            ),
        )

    @cached_property
    def _of_texts(self) -> tuple[Floats, Floats]:
        names = (*self.declared.lexical_names, *self.declared.counts)
        both_T2 = np.asarray([self.statistics[name] for name in names], dtype=np.float32).reshape(-1, 2)
        return both_T2[:, 0], both_T2[:, 1]

    def _number(self, key: str, name: str, log1p: bool, values: Values) -> Floats:
        """A number and whether it is missing, float32[N, 2]."""
        return self._normal(key, raw_numbers(name, log1p, values))

    def _normal(self, key: str, raw_N: NDArray[np.float64]) -> Floats:
        mean, std = self.statistics[key]
        missing_N = np.isnan(raw_N)
        with np.errstate(over="ignore"):  # what is infinite is cut at the limit
            normal_N = np.where(
                missing_N, 0.0, np.clip((raw_N - mean) / std, -self.declared.limit, self.declared.limit)
            )
        return np.stack([normal_N, missing_N], axis=1).astype(np.float32)

    def _unit(self, name: str, values: Values) -> Floats:
        vectors_ND = values.vectors.get(name)
        return np.zeros((values.num_rows, self.spaces[name].dim), np.float32) if vectors_ND is None else vectors_ND

    def _vector(self, side: SideName, name: str, values: Values) -> Floats:
        """A vector of an external embedding and whether it is missing, float32[N, D+1]."""
        vectors_ND = self._unit(name, values)
        scaled_ND = vectors_ND * np.float32(vectors_ND.shape[1] ** 0.5)
        return np.concatenate([scaled_ND, ~present(vectors_ND)[:, None]], axis=1, dtype=np.float32)

    def _buckets(self, key: str, max_values: int, words: pa.Array | None, num_rows: int) -> NDArray[np.int32]:
        """The rows that each value has in the feature's embedding table, int32[N, max_values]."""
        buckets_NV = np.full((num_rows, max_values), NO_BUCKET, dtype=np.int32)
        buckets_NV[:, 0] = MISSING
        if words is None:
            return buckets_NV
        sizes_N = pc.fill_null(pc.list_value_length(words), 0).to_numpy(zero_copy_only=False)
        found = pc.index_in(words.flatten(), value_set=self._vocabularies[key])
        bucket_of_value = pc.fill_null(found, UNKNOWN - NUM_SPECIAL).to_numpy(zero_copy_only=False) + NUM_SPECIAL
        row_of_value = np.repeat(np.arange(num_rows), sizes_N)
        place_of_value = np.arange(len(row_of_value)) - np.repeat(np.cumsum(sizes_N) - sizes_N, sizes_N)
        kept = place_of_value < max_values
        buckets_NV[row_of_value[kept], place_of_value[kept]] = bucket_of_value[kept]
        return buckets_NV

    @cached_property
    def _vocabularies(self) -> dict[str, pa.Array]:
        return {key: pa.array(values, pa.string()) for key, values in self.vocabularies.items()}

    def _cosines(self, query_NS: Floats, pin_NS: Floats, num_rows: int) -> list[Floats]:
        """Cosine and whether it is missing for each space, float32[N, 2] each."""
        raw = space_cosines([self.spaces[name].dim for name in self.declared.spaces], query_NS, pin_NS)
        return [
            self._normal(f"cosine.{name}", np.broadcast_to(raw_N, num_rows))
            for name, raw_N in zip(self.declared.spaces, raw, strict=True)
        ]


def raw_numbers(name: str, log1p: bool, values: Values) -> NDArray[np.float64]:
    """A numeric feature before normalisation, float64[N], NaN where it is missing."""
    column = values.numbers.get(name)
    if column is None:
        return np.full(values.num_rows, np.nan)
    raw_N = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.log1p(raw_N) if log1p else raw_N


def space_cosines(dims: list[int], query_NS: Floats, pin_NS: Floats) -> list[NDArray[np.float64]]:
    """The cosine in each space, float64[N], NaN where one of the two has no vector."""
    cosines, start = [], 0
    for dim in dims:
        query_ND, pin_ND = query_NS[:, start : start + dim], pin_NS[:, start : start + dim]
        cosine_N = np.einsum("nd,nd->n", *np.broadcast_arrays(query_ND, pin_ND), dtype=np.float64)
        cosines.append(np.where(present(query_ND) & present(pin_ND), cosine_N, np.nan))
        start += dim
    return cosines


def order_of(declared: Declaration) -> Order:
    """The columns of all features, in order; a vector of an external embedding counts as one."""
    pair = [f"pair.{name}" for name in declared.pair.numeric] + [f"cosine.{name}" for name in declared.spaces]
    return Order(
        pair=(*declared.lexical_names, *declared.counts, *(column for name in pair for column in _with_mark(name))),
        query=_side_order(declared, "query"),
        pin=_side_order(declared, "pin"),
    )


def numbers_of(declared: Declaration) -> list[str]:
    """The features that are normalised, by their key in `statistics`."""
    return [
        *declared.lexical_names,
        *declared.counts,
        *(f"pair.{name}" for name in declared.pair.numeric),
        *(f"cosine.{name}" for name in declared.spaces),
        *(f"query.{name}" for name in declared.query.numeric),
        *(f"pin.{name}" for name in declared.pin.numeric),
    ]


def categories_of(declared: Declaration) -> list[str]:
    """The categorical features, by their key in `vocabularies`."""
    return [
        *(f"query.{name}" for name in declared.query.categorical),
        *(f"pin.{name}" for name in declared.pin.categorical),
    ]


def _side_order(declared: Declaration, side: SideName) -> tuple[str, ...]:
    columns = declared.columns(side)
    numbers = (*declared.externals(side), *columns.numeric)
    return (
        *(column for name in numbers for column in _with_mark(f"{side}.{name}")),
        *(f"{side}.{name}" for name in columns.categorical),
    )


def _with_mark(name: str) -> tuple[str, str]:
    return name, f"{name}.missing"
