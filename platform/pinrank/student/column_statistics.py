"""What the declared columns of queries, pins and pairs say over all pairs to learn from, in one pass, piece by piece.

Letters: N rows of a piece.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.errors import TableError
from pinrank.student.declaration import Categorical, Declaration
from pinrank.student.feature_tables import FeatureTables, values_of
from pinrank.student.features import raw_numbers

Statistics = dict[str, tuple[float, float]]
Vocabularies = dict[str, tuple[str, ...]]


@dataclass
class Moments:
    """Mean and deviation of numbers that come piece by piece (Chan, Golub, LeVeque, "Updating formulae and a pairwise
    algorithm for computing sample variances", 1979). `squares`: the sum of squared distances from the mean."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, raw_N: NDArray[np.float64]) -> None:
        """Some more numbers; NaN is none."""
        known_N = raw_N[~np.isnan(raw_N)]
        if not len(known_N):
            return
        total, distance = self.count + len(known_N), float(known_N.mean()) - self.mean
        self.squares += float(known_N.var()) * len(known_N) + distance**2 * self.count * len(known_N) / total
        self.mean += distance * len(known_N) / total
        self.count = total

    def statistics(self) -> tuple[float, float]:
        """Mean and deviation; a deviation that is none but for rounding is 1."""
        std = math.sqrt(self.squares / self.count)
        return self.mean, std if std > 1e-9 * max(1.0, abs(self.mean)) else 1.0


def of_columns(
    declared: Declaration, pieces: Iterable[pa.Table], tables: FeatureTables
) -> tuple[Statistics, Vocabularies]:
    """Mean and deviation of each declared number, and the vocabulary of each category, by SIDE.NAME.

    The pieces have query, query_locale and pin_id, and are not read where no column is declared. Raises TableError when
    no pair has a value of one.
    """
    numbers = {
        (side, name): each.log1p
        for side, columns in (("pair", declared.pair), ("query", declared.query), ("pin", declared.pin))
        for name, each in columns.numeric.items()
    }
    categories = {
        (side, name): each
        for side, columns in (("query", declared.query), ("pin", declared.pin))
        for name, each in columns.categorical.items()
    }
    moments, counts = (
        defaultdict[tuple[str, str], Moments](Moments),
        defaultdict[tuple[str, str], Counter[str]](Counter),
    )
    for rows in pieces if numbers or categories else ():
        values = dict(zip(("query", "pin", "pair"), values_of(rows, tables), strict=True))
        for (side, name), log1p in numbers.items():
            moments[side, name].add(raw_numbers(name, log1p, values[side]))
        for side, name in categories:
            counts[side, name].update(_counted(values[side].words.get(name)))
    for side, name in (*numbers, *categories):
        if not (moments[side, name].count or counts[side, name]):
            raise without_values(f"{side}.{name}")
    return (
        {f"{side}.{name}": moments[side, name].statistics() for side, name in numbers},
        {f"{side}.{name}": _vocabulary(each, counts[side, name]) for (side, name), each in categories.items()},
    )


def without_values(key: str, table: str | None = None, num_drawn: int | None = None) -> TableError:
    """That no pair has a value of a feature; num_drawn: how many pairs were looked at, where it was not all of them."""
    side, _, name = key.partition(".")
    pairs = "the pairs to learn from" if num_drawn is None else f"{num_drawn} pairs drawn from those to learn from"
    return TableError(
        f"{table or f'{side}_features'}: '{name}' of the {side} is known in none of {pairs}. Give the table the "
        "queries and pins of the labels, or take the feature out of feature_spec.yaml."
    )


def _counted(words: pa.Array | None) -> dict[str, int]:
    """How many rows have each value."""
    if words is None:
        return {}
    counted = pc.value_counts(words.flatten().drop_null())
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def _vocabulary(declared: Categorical, counts: Counter[str]) -> tuple[str, ...]:
    """The values that enough pairs have, the most frequent first, equals by name."""
    frequent = (value for value, count in counts.items() if count >= declared.min_count)
    return tuple(sorted(frequent, key=lambda value: (-counts[value], value))[: declared.max_size])
