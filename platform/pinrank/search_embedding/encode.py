"""Texts by id to vectors of a search embedding, on Ray Data actors."""

import logging
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.embeddings.encode import EncodingSettings, on_actors
from pinrank.embeddings.external import table_of
from pinrank.errors import TableError
from pinrank.precision import Precision
from pinrank.search_embedding.export import open_search_embedding, read_card

log = logging.getLogger(__name__)

Side = Literal["query", "pin"]

TEXTS_PER_CALL = 2048
"""Texts that an actor encodes at once."""


class Encoder:
    """Rows of (id, text) of one side to rows of (id, vector): a class for Ray Data's map_batches."""

    def __init__(self, folder: str, threads: int, precision: Precision) -> None:
        import torch

        torch.set_num_threads(threads)
        self.model = open_search_embedding(folder)
        self.precision = precision

    def __call__(self, texts: pa.Table) -> pa.Table:
        (side,) = texts["side"].unique().to_pylist()
        encode = self.model.encode_queries if side == "query" else self.model.encode_pins
        vectors_ND = encode(texts["text"].to_pylist(), self.precision).astype(np.float16)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(vectors_ND.ravel(), pa.float16()), vectors_ND.shape[1])
        return pa.table({"side": texts["side"], "id": texts["id"], "vector": vectors})


def encode(texts: Mapping[Side, Mapping[str, str]], folder: str, settings: EncodingSettings) -> dict[Side, pa.Table]:
    """EXTERNAL_EMBEDDINGS, sorted by id, of the texts by id of each side.

    Needs a Ray session; the folder must be seen by every node. Raises TableError when a side has no text.
    """
    import ray.data

    card = read_card(folder)
    ids = {side: pa.array(sorted(said), pa.string()) for side, said in texts.items()}
    if empty := [side for side, known in ids.items() if not len(known)]:
        raise TableError(f"{empty[0]}: no text, so there is nothing to embed.")
    vectors = {side: np.zeros((len(known), card.vector_dim), dtype=np.float16) for side, known in ids.items()}
    blocks = ray.data.from_arrow([block for side, said in texts.items() for block in _blocks(side, said)])
    for batch in on_actors(blocks, Encoder, folder, settings):
        side = batch["side"][0].as_py()
        flat = batch["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        places = pc.index_in(batch["id"], value_set=ids[side]).to_numpy()
        vectors[side][places] = flat.reshape(batch.num_rows, -1)
        log.info("embedded %d %s texts", batch.num_rows, side)
    return {side: table_of(card.version, known, vectors[side]) for side, known in ids.items()}


def _blocks(side: Side, texts: Mapping[str, str]) -> Iterator[pa.Table]:
    """Texts of one side, neighbours of like length, which are padded little."""
    ordered = sorted(texts, key=lambda known: len(texts[known]))
    for start in range(0, len(ordered), TEXTS_PER_CALL):
        known = ordered[start : start + TEXTS_PER_CALL]
        yield pa.table({"side": [side] * len(known), "id": known, "text": [texts[each] for each in known]})
