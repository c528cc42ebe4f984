"""What the MLP reads beside the two vectors, split by what it depends on: the query, the pin, or both.

Letters: N pairs, F pair features, W numbers of a side, M buckets of a side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Side(NamedTuple, Generic[A]):
    """Features of the query alone or of the pin alone, as numpy arrays or torch tensors.

    numbers_NW: float32, normalised. buckets_NM: int32, the rows of the embedding tables that a category's values have,
    -1 where it has fewer values than room; `SideShape.columns` says which columns belong to which table.
    """

    numbers_NW: A
    buckets_NM: A


class Features(NamedTuple, Generic[A]):
    """All features of N pairs: pair_NF float32, normalised, and both sides, each with a row a pair."""

    pair_NF: A
    query: Side[A]
    pin: Side[A]

    def mapped(self, function: Callable[[A], B]) -> "Features[B]":
        """The same with a function over every array."""
        return nested([function(each) for each in flat(self)])


def flat(features: Features[A]) -> list[A]:
    """The five arrays: of the pair, and numbers and buckets of query and pin."""
    return [features.pair_NF, *features.query, *features.pin]


def nested(arrays: Sequence[A]) -> Features[A]:
    """The inverse of `flat`."""
    pair_NF, query_numbers, query_buckets, pin_numbers, pin_buckets = arrays
    return Features(pair_NF, Side(query_numbers, query_buckets), Side(pin_numbers, pin_buckets))


@dataclass(frozen=True)
class EmbeddingShape:
    """An embedding table of a category: its rows, their length, and how many values a query or pin may have."""

    num_buckets: int
    dim: int
    max_values: int


@dataclass(frozen=True)
class SideShape:
    """How wide a side's features are."""

    num_numbers: int = 0
    embeddings: tuple[EmbeddingShape, ...] = ()

    @property
    def num_buckets(self) -> int:
        """M, the columns of `Side.buckets_NM`."""
        return sum(embedding.max_values for embedding in self.embeddings)

    @property
    def num_inputs(self) -> int:
        """Numbers and embeddings together; 0: the side has no features, and the MLP no layer for them."""
        return self.num_numbers + sum(embedding.dim for embedding in self.embeddings)

    @property
    def columns(self) -> tuple[slice, ...]:
        """The columns of `Side.buckets_NM` that each embedding table reads."""
        ends = accumulate((embedding.max_values for embedding in self.embeddings), initial=0)
        return tuple(slice(start, start + each.max_values) for start, each in zip(ends, self.embeddings, strict=False))


@dataclass(frozen=True)
class Shapes:
    """How wide the MLP's features are."""

    num_pair: int
    query: SideShape = SideShape()
    pin: SideShape = SideShape()
