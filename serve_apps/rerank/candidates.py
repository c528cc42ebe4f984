"""What the ranker reads of documents. N documents, R = vector + the pin's side of the first layer, K text fields."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pinrank.lexical import FieldTerms


@dataclass(frozen=True)
class Candidates:
    """Rows of N documents as the pin store holds them, their terms, and found_N; a missing pin is a zero row."""

    rows_NR: NDArray[np.float16]
    terms: FieldTerms
    found_N: NDArray[np.bool_]
