"""The vectors of pins and queries, by several encoders, for a comparison of these."""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pinrank.backbones import resolve
from pinrank.embeddings.external import PINS, QUERIES, open_external
from pinrank.evaluation.systems import FrozenSettings
from pinrank.parquet import exists
from pinrank.student.export import StudentBundle
from pinrank.text import normalise_query, pin_text

Vectors = NDArray[np.floating]
Encode = Callable[[str, Sequence[str]], Vectors]
"""From a side ("pin" or "query") and ids to vectors in their order; an id without a vector is all zeros."""


class Texts:
    """Pins and queries as encoders read them; ids are pin ids and normalised queries."""

    def __init__(self, judgments: pa.Table, pins: pa.Table, without: Collection[str] = ()) -> None:
        """without: text fields that are left empty."""
        blank = dict.fromkeys(without, "")
        self._pins = {row["pin_id"]: row | blank for row in pins.to_pylist()}
        self._queries = {normalise_query(query): query for query in judgments["query"].unique().to_pylist()}

    def pins(self, pin_ids: Sequence[str]) -> list[dict[str, str]]:
        """Rows of pin_text."""
        return [self._pins[pin_id] for pin_id in pin_ids]

    def queries(self, queries: Sequence[str]) -> list[str]:
        """A spelling of each normalised query."""
        return [self._queries[query] for query in queries]


def by_student(student: StudentBundle, texts: Texts) -> Encode:
    """The student's towers."""

    def encode(side: str, ids: Sequence[str]) -> Vectors:
        if side == "query":
            return student.encode_queries(texts.queries(ids))
        return student.encode_pins(student.pin_texts(texts.pins(ids)))

    return encode


def by_frozen(frozen: FrozenSettings, texts: Texts) -> Encode:
    """A backbone as it was published, its mean over tokens, for queries and pins alike."""
    from pinrank.student.encoder import TextEncoder

    encoder = TextEncoder.open(resolve(frozen.backbone))

    def encode(side: str, ids: Sequence[str]) -> Vectors:
        read = texts.queries(ids) if side == "query" else [pin_text(row, frozen.text) for row in texts.pins(ids)]
        return encoder.encode(read, frozen.text.max_tokens, frozen.precision)

    return encode


def by_table(folder: str) -> Encode:
    """A named external embedding; a side that it lacks has no vectors."""
    paths = {"pin": f"{folder}/{PINS}", "query": f"{folder}/{QUERIES}"}

    def encode(side: str, ids: Sequence[str]) -> Vectors:
        if not exists(paths[side]):
            return np.zeros((len(ids), 1), dtype=np.float16)
        return open_external(paths[side]).gather(ids)[0]

    return encode
