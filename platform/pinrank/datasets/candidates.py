"""Pins that a plain search finds for a query: real queries and real pins where nobody published what was shown.

Letters: Q queries, P pins, V terms.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from pinrank.lexical import K1, B, tokenize
from pinrank.text import join_list

_TEXTS = ("title", "description", "link_title", "link_description")
_BATCH = 256
"""Queries that are scored at once; a row of scores has one cell a pin that shares a term."""

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("query_id", pa.string()),
        ("item_id", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float32()),
        ("origin", pa.string()),
    ]
)


def bm25_candidates(queries: pa.Table, items: pa.Table, judgements: pa.Table, most: Mapping[str, int]) -> pa.Table:
    """Per source in `most`, that many pins a query with the best BM25 above 0, without those that were judged for it.

    queries: query_id, source, query. items: item_id, source and texts. judgements: query_id, item_id. Ties go to the
    pin that stands first. rank counts from 1.
    """
    judged = set(zip(judgements.column("query_id").to_pylist(), judgements.column("item_id").to_pylist(), strict=True))
    found = [_of_source(source, queries, items, judged, number) for source, number in most.items()]
    return pa.concat_tables([SCHEMA.empty_table(), *found])


def _of_source(source: str, queries: pa.Table, items: pa.Table, judged: set[tuple[str, str]], most: int) -> pa.Table:
    asked = queries.filter(pc.equal(queries.column("source"), source))
    shown = items.filter(pc.equal(items.column("source"), source))
    query_ids, item_ids = asked.column("query_id").to_pylist(), shown.column("item_id").to_pylist()
    rows: list[tuple[str, str, str, int, float, str]] = []
    for number, (pins, scores) in enumerate(_best(asked.column("query").to_pylist(), _texts(shown), most)):
        query_id, rank = query_ids[number], 0
        for pin, score in zip(pins.tolist(), scores.tolist(), strict=True):
            if (query_id, item_ids[pin]) not in judged:
                rank += 1
                rows.append((source, query_id, item_ids[pin], rank, score, "bm25"))
    columns = zip(*rows, strict=True) if rows else ([] for _ in SCHEMA)
    return pa.table([pa.array(column, each.type) for column, each in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def _texts(items: pa.Table) -> list[str]:
    columns = [items.column(name).to_pylist() for name in _TEXTS]
    captions = [join_list(each) for each in items.column("image_captions").to_pylist()]
    return [" ".join(filter(None, texts)) for texts in zip(*columns, captions, strict=True)]


def _best(
    queries: Sequence[str], texts: Sequence[str], most: int
) -> "list[tuple[NDArray[np.int64], NDArray[np.float32]]]":
    """For each query the positions and scores of its best texts, best first (Robertson and Zaragoza 2009)."""
    terms: dict[str, int] = {}
    counts_PV = _counts(texts, terms, grow=True)
    asked_QV = _counts(queries, terms, grow=False)
    asked_QV.data[:] = 1
    weights_VP = _bm25_weights(counts_PV).T.tocsr()
    best = []
    for start in range(0, len(queries), _BATCH):
        scores_QP = (asked_QV[start : start + _BATCH] @ weights_VP).tocsr()
        for row in range(scores_QP.shape[0]):
            cells = slice(scores_QP.indptr[row], scores_QP.indptr[row + 1])
            pins, scores = scores_QP.indices[cells].astype(np.int64), scores_QP.data[cells]
            order = np.lexsort((pins, -scores))[:most]
            best.append((pins[order], scores[order]))
    return best


def _bm25_weights(counts_PV: sparse.csr_matrix) -> sparse.csr_matrix:
    num_pins = counts_PV.shape[0]
    lengths_P = np.asarray(counts_PV.sum(axis=1)).ravel()
    df_V = np.bincount(counts_PV.indices, minlength=counts_PV.shape[1])
    idf_V = np.log1p((num_pins - df_V + 0.5) / (df_V + 0.5))
    norm_P = K1 * (1 - B + B * lengths_P / max(lengths_P.mean(), 1.0)) if num_pins else lengths_P
    pin_of_cell = np.repeat(np.arange(num_pins), np.diff(counts_PV.indptr))
    weights = idf_V[counts_PV.indices] * counts_PV.data * (K1 + 1) / (counts_PV.data + norm_P[pin_of_cell])
    return sparse.csr_matrix((weights.astype(np.float32), counts_PV.indices, counts_PV.indptr), shape=counts_PV.shape)


def _counts(texts: Sequence[str], terms: dict[str, int], grow: bool) -> sparse.csr_matrix:
    """How often each text has each term, float32[texts, terms]; unknown terms are added, or passed over."""
    indices: list[int] = []
    starts = [0]
    for text in texts:
        for term in tokenize(text):
            place = terms.setdefault(term, len(terms)) if grow else terms.get(term)
            if place is not None:
                indices.append(place)
        starts.append(len(indices))
    shape = (len(texts), max(len(terms), 1))
    cells = (np.ones(len(indices), np.float32), np.array(indices, np.int64), np.array(starts, np.int64))
    counts = sparse.csr_matrix(cells, shape=shape)
    counts.sum_duplicates()
    return counts
