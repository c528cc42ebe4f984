"""Columns of text for many rows at once: a text is made once for each kind of row, and then taken. Letter: N rows."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.integer]


def worded(kinds_N: Ints, text: Callable[[int], str]) -> pa.Array:
    """text(row) for each row; it is called for one row of each kind, and must be the same for all of them."""
    _, first_K, kind_N = np.unique(kinds_N, return_index=True, return_inverse=True)
    return taken([text(row) for row in first_K.tolist()], kind_N)


def taken(texts: Sequence[str] | pa.Array, which_N: Ints) -> pa.Array:
    """The text of these numbers, for each row."""
    return pa.array(texts, pa.string()).take(pa.array(which_N))


def numbered(*parts: str | pa.Array | Ints) -> pa.Array:
    """Texts and numbers, one after the other, for each row: numbered("pin:", [0, 1]) is pin:0, pin:1."""
    columns = [pa.array(part).cast(pa.string()) if isinstance(part, np.ndarray) else part for part in parts]
    return pc.binary_join_element_wise(*columns, "")
