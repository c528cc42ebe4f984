"""Queries to vectors of a student, on Ray Data actors."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from pinrank.embeddings.encode import EncodingSettings, on_actors
from pinrank.embeddings.external import table_of
from pinrank.errors import TableError
from pinrank.precision import Precision
from pinrank.student.export import open_student, read_card

QUERIES_PER_CALL = 4096
"""Queries that an actor encodes at once."""


class QueryTower:
    """Rows of (id, text) to rows of (id, vector): a class for Ray Data's map_batches."""

    def __init__(self, student: str, threads: int, precision: Precision) -> None:
        import torch

        torch.set_num_threads(threads)
        self.student = open_student(student)
        self.precision = precision

    def __call__(self, texts: pa.Table) -> pa.Table:
        vectors_ND = self.student.encode_queries(texts["text"].to_pylist(), self.precision).astype(np.float16)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(vectors_ND.ravel(), pa.float16()), vectors_ND.shape[1])
        return pa.table({"id": texts["id"], "vector": vectors})


def embed_queries(texts: Mapping[str, str], student: str, settings: EncodingSettings) -> pa.Table:
    """EXTERNAL_EMBEDDINGS, sorted by id, of queries by id. Needs a Ray session; TableError when there are none."""
    import ray.data

    if not texts:
        raise TableError("no query, so there is nothing to embed. Import judgments, or name a log.")
    ordered = sorted(texts, key=lambda known: (len(texts[known]), known))
    starts = range(0, len(ordered), QUERIES_PER_CALL)
    blocks = [
        pa.table({"id": known, "text": [texts[each] for each in known]})
        for known in (ordered[start : start + QUERIES_PER_CALL] for start in starts)
    ]
    found = pa.concat_tables(on_actors(ray.data.from_arrow(blocks), QueryTower, student, settings)).sort_by("id")
    vectors_ND = found["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(found.num_rows, -1)
    return table_of(read_card(student).version, found["id"].combine_chunks(), vectors_ND)
