"""Texts by id to vectors of a search embedding, on Ray Data actors."""

import logging
import math
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from pinrank.embeddings.encode import EncodingSettings
from pinrank.embeddings.external import table_of
from pinrank.errors import TableError
from pinrank.precision import Precision
from pinrank.search_embedding.export import open_search_embedding, read_card
from pinrank.student.export import max_pin_tokens

log = logging.getLogger(__name__)

Side = Literal["query", "pin"]

TEXTS_PER_CALL = 2048
"""Texts that an actor encodes at once."""


class Encoder:
    """Rows of (id, text) to rows of EXTERNAL_EMBEDDINGS: a class for Ray Data's map_batches."""

    def __init__(self, folder: str, side: Side, threads: int, precision: Precision) -> None:
        import torch

        torch.set_num_threads(threads)
        found = open_search_embedding(folder)
        text = found.card.text
        self.name = found.card.version
        self.tower = found.query_tower if side == "query" else found.pin_tower
        self.max_tokens = text.max_query_tokens if side == "query" else max_pin_tokens(text)
        self.precision = precision

    def __call__(self, texts: pa.Table) -> pa.Table:
        vectors_ND = self.tower.encode(texts["text"].to_pylist(), self.max_tokens, self.precision)
        return table_of(self.name, texts["id"].combine_chunks(), vectors_ND)


def encode(texts: dict[str, str], folder: str, side: Side, settings: EncodingSettings) -> pa.Table:
    """EXTERNAL_EMBEDDINGS of texts by id, sorted by id. Needs a Ray session; the folder must be seen by every node.

    A query's text must be normalised. Raises TableError when there is no text.
    """
    if not texts:
        raise TableError(f"{side}: no text, so there is nothing to embed.")
    rows = pa.table({"id": list(texts), "text": list(texts.values())})
    by_length = rows.take(
        pc.sort_indices(pc.binary_length(rows["text"]))
    )  # neighbours of like length are padded little
    encoded = ray.data.from_arrow(by_length, override_num_blocks=math.ceil(rows.num_rows / TEXTS_PER_CALL)).map_batches(
        Encoder,
        fn_constructor_args=(folder, side, settings.threads_per_actor, settings.precision),
        batch_format="pyarrow",
        batch_size=None,
        concurrency=settings.concurrency,
        num_cpus=settings.cpus_per_actor,
        num_gpus=settings.gpus_per_actor,
    )
    encoded.context.enable_progress_bars = False
    card = read_card(folder)
    ids = pa.array(sorted(texts))
    vectors_ND = np.zeros((len(ids), card.vector_dim), dtype=np.float16)
    for batch in encoded.iter_batches(batch_size=None, batch_format="pyarrow"):
        flat = batch["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors_ND[pc.index_in(batch["id"], value_set=ids).to_numpy()] = flat.reshape(batch.num_rows, -1)
    log.info("embedded %d %s texts", len(ids), side)
    return table_of(card.version, ids, vectors_ND)
