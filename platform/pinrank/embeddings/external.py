"""Named external embeddings: tables of id → vector that something else made, for a model to read as a feature.

    FOLDER/card.json   what made them
    FOLDER/pins/       EXTERNAL_EMBEDDINGS by pin_id
    FOLDER/queries/    EXTERNAL_EMBEDDINGS by normalised query, where queries have vectors too

Letters: N ids asked for, M rows of the table, D vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank import tables
from pinrank.errors import TableError
from pinrank.tables import EXTERNAL_EMBEDDINGS

PINS, QUERIES = "pins", "queries"
"""The two sides of an embedding, each a folder."""

ROWS_PER_CHUNK = 2**18
"""Arrow's lists count their values in 32 bits, which millions of vectors exceed."""


@dataclass(frozen=True)
class ExternalEmbedding:
    """The vectors of one side of a named embedding; `name` is NAME@HASH of what made them."""

    name: str
    ids: pa.Array
    vectors_MD: NDArray[np.float16]

    @property
    def vector_dim(self) -> int:
        return int(self.vectors_MD.shape[1])

    def gather(self, ids: Sequence[str]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        """vectors_ND (float16) in the order asked and found_N; an id without a vector is a zero row, never an error."""
        places = pc.index_in(pa.array(ids, pa.string()), value_set=self.ids)
        found_N = np.asarray(places.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        vectors_ND = np.zeros((len(ids), self.vector_dim), dtype=np.float16)
        vectors_ND[found_N] = self.vectors_MD[places.drop_null().to_numpy()]
        return vectors_ND, found_N


def table_of(name: str, ids: Sequence[str] | pa.Array, vectors_MD: NDArray[np.floating]) -> pa.Table:
    """EXTERNAL_EMBEDDINGS with a row an id."""
    starts = range(0, max(1, len(vectors_MD)), ROWS_PER_CHUNK)
    vectors = [_lists(vectors_MD[start : start + ROWS_PER_CHUNK].astype(np.float16)) for start in starts]
    names = pa.repeat(pa.scalar(name, pa.string()), len(vectors_MD))
    return pa.table([names, pa.array(ids, pa.string()), pa.chunked_array(vectors)], schema=EXTERNAL_EMBEDDINGS.schema)


def open_external(path: str) -> ExternalEmbedding:
    """Read EXTERNAL_EMBEDDINGS of one name.

    Raises TableError when it is no such table, is empty, holds two names, or a vector differs in length or is not
    finite.
    """
    data = tables.read(path, EXTERNAL_EMBEDDINGS)
    names = data["name"].unique().to_pylist()
    if len(names) != 1:
        found = ", ".join(map(repr, names[:3])) or "no row"
        raise TableError(f"{path}: column 'name' must hold one name, found {found}. Write a folder for each embedding.")
    widths = pc.list_value_length(data["vector"]).unique().to_pylist()
    if len(widths) != 1:
        raise TableError(f"{path}: column 'vector' has lengths {sorted(widths)[:5]}. Write vectors of one length.")
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in data["vector"].chunks]
    vectors_MD = np.concatenate(flat).astype(np.float16, copy=False).reshape(-1, widths[0])
    if len(broken := np.flatnonzero(~np.isfinite(vectors_MD).all(axis=1))):
        shown = ", ".join(map(str, broken[:5]))
        raise TableError(f"{path}: column 'vector' is not finite in {len(broken)} rows ({shown}). Make them again.")
    return ExternalEmbedding(names[0], data["id"].combine_chunks(), vectors_MD)


def _lists(vectors_MD: NDArray[np.float16]) -> pa.Array:
    offsets = pa.array(np.arange(len(vectors_MD) + 1, dtype=np.int32) * vectors_MD.shape[1])
    return pa.ListArray.from_arrays(offsets, pa.array(vectors_MD.ravel(), pa.float16()))
