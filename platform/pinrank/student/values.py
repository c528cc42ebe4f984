"""What is known of N queries, pins or pairs, before the fitted specification turns it into numbers. Null is missing.

Letters: N rows, D vector of an external embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NUMBER, WORDS = pa.float64(), pa.list_(pa.string())
"""Arrow types of the values of a numeric and of a categorical feature."""


@dataclass(frozen=True)
class Values:
    """Values by feature name; a name that is not here is missing in every row.

    numbers: arrays of NUMBER; words: arrays of WORDS; vectors: float32[N, D] of length 1, or zeros where there is none.
    """

    num_rows: int
    numbers: Mapping[str, pa.Array] = field(default_factory=dict)
    words: Mapping[str, pa.Array] = field(default_factory=dict)
    vectors: Mapping[str, Floats] = field(default_factory=dict)

    def take(self, rows: NDArray[np.integer]) -> "Values":
        """Some rows, in the order asked."""
        places = pa.array(rows)
        return Values(
            len(rows),
            {name: each.take(places) for name, each in self.numbers.items()},
            {name: each.take(places) for name, each in self.words.items()},
            {name: each[rows] for name, each in self.vectors.items()},
        )


@dataclass(frozen=True)
class Known:
    """What is known of one query, and of its pairs with N pins, beside their texts. pairs None: nothing."""

    query: Values = Values(1)
    pairs: Values | None = None


def nothing(num_rows: int) -> Values:
    """All values missing."""
    return Values(num_rows)


def unit(vectors_ND: NDArray[np.floating]) -> Floats:
    """Vectors of length 1, float32; a zero vector stays one."""
    vectors_ND = np.asarray(vectors_ND, dtype=np.float32)
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / np.where(lengths_N1 > 0, lengths_N1, 1.0), dtype=np.float32)


def present(vectors_ND: Floats) -> NDArray[np.bool_]:
    """Which rows have a vector: those that are not zero."""
    return np.asarray(vectors_ND.any(axis=1))
