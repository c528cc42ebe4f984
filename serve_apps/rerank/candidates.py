"""What the ranker reads of documents. N documents, R row of the pin store, K text fields."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pinrank.lexical import FieldTerms
from pinrank.student.values import Values


@dataclass(frozen=True)
class Candidates:
    """Rows of N documents as the pin store holds them, their terms, and found_N; a missing pin is a zero row.

    pairs: what the request says of each with its query.
    """

    rows_NR: NDArray[np.float16]
    terms: FieldTerms
    found_N: NDArray[np.bool_]
    pairs: Values | None = None
