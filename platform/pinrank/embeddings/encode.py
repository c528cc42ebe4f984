"""Every pin's vector by the student's pin tower, on Ray Data actors."""

import logging
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pinrank.errors import TableError
from pinrank.precision import Precision
from pinrank.ray_stream import batches_of
from pinrank.student.export import open_student
from pinrank.tables import PIN_EMBEDDINGS
from pinrank.text import FIELDS

if TYPE_CHECKING:
    from ray.data import Dataset

log = logging.getLogger(__name__)

PINS_PER_CALL = 2048
"""Pins that an actor encodes at once."""


class EncodingSettings(BaseModel):
    """How pins are encoded: how many actors, what each takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: int = Field(1, ge=1, description="actors, each with its own copy of the tower")
    cpus_per_actor: float = Field(1, gt=0, description="CPUs that Ray sets aside for an actor")
    threads_per_actor: int = Field(2, ge=1, description="threads of an actor's matrix products on a CPU")
    gpus_per_actor: float = Field(0, ge=0, description="GPUs that Ray reserves for an actor")
    precision: Precision = Field(
        "auto",
        description="numbers of the forward passes: auto is bfloat16 where the device is fast at it, else float32",
    )


class PinEncoder:
    """Rows of pin_text to rows of pin_embeddings: a class for Ray Data's map_batches."""

    def __init__(self, student: str, threads: int, precision: Precision) -> None:
        import torch

        torch.set_num_threads(threads)
        self.student = open_student(student)
        self.precision = precision

    def __call__(self, pins: pa.Table) -> pa.Table:
        texts = self.student.pin_texts(pins.select(list(FIELDS)).to_pylist())
        vectors_ND = self.student.encode_pins(texts, self.precision).astype(np.float16)
        flat = pa.array(vectors_ND.ravel(), pa.float16())
        offsets = pa.array(np.arange(len(vectors_ND) + 1, dtype=np.int32) * self.student.vector_dim)
        columns = {
            "pin_id": pins["pin_id"],
            "vector": pa.ListArray.from_arrays(offsets, flat),
            "fingerprint": pins["fingerprint"],
            "encoder": pa.array([self.student.version] * pins.num_rows, pa.string()),
        }
        return pa.table(columns, schema=PIN_EMBEDDINGS.schema)


def embed(pin_text: pa.Table, student: str, settings: EncodingSettings) -> pa.Table:
    """The PIN_EMBEDDINGS of rows of pin_text, ordered by pin_id. Needs a Ray session; `student` is its folder.

    Pins of one fingerprint are encoded once. Raises TableError when there are no rows.
    """
    if not pin_text.num_rows:
        raise TableError("pin_text: no rows, so there is nothing to embed. Run python -m pipelines.build_pin_text.")
    fingerprints = np.asarray(pin_text["fingerprint"].to_pylist(), dtype=object)
    _, first_U, which_N = np.unique(fingerprints, return_index=True, return_inverse=True)
    distinct = pin_text.take(pa.array(first_U))
    encoded = _encode(distinct, student, settings).sort_by("fingerprint").take(pa.array(which_N))
    return encoded.set_column(0, "pin_id", pin_text["pin_id"]).sort_by("pin_id")


def _encode(pins: pa.Table, student: str, settings: EncodingSettings) -> pa.Table:
    import ray.data

    # Neighbours of like length are padded little.
    by_length = pins.take(pc.sort_indices(_text_bytes(pins)))
    num_blocks = math.ceil(pins.num_rows / PINS_PER_CALL)
    blocks = ray.data.from_arrow(by_length, override_num_blocks=num_blocks)
    return pa.concat_tables(_counted(on_actors(blocks, PinEncoder, student, settings), pins.num_rows))


def on_actors(
    blocks: "Dataset", encoder: type, model: str, settings: EncodingSettings, *more: object
) -> Iterator[pa.Table]:
    """What actors of the class encoder(model, threads, precision, *more) make of each block, as it comes."""
    encoded = blocks.map_batches(
        encoder,
        fn_constructor_args=(model, settings.threads_per_actor, settings.precision, *more),
        batch_format="pyarrow",
        batch_size=None,
        concurrency=settings.concurrency,
        num_cpus=settings.cpus_per_actor,
        num_gpus=settings.gpus_per_actor,
    )
    return batches_of(encoded)


def vectors_of(embeddings: pa.Table) -> np.ndarray:
    """The vectors of a PIN_EMBEDDINGS table, float16[P, D]."""
    flat = embeddings["vector"].combine_chunks().flatten()
    return np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float16).reshape(embeddings.num_rows, -1)


def _text_bytes(pin_text: pa.Table) -> pa.ChunkedArray:
    total = pc.binary_length(pin_text[FIELDS[0]])
    for field in FIELDS[1:]:
        total = pc.add(total, pc.fill_null(pc.binary_length(pin_text[field]), 0))
    return total


def _counted(encoded: Iterator[pa.Table], total: int) -> Iterator[pa.Table]:
    done = 0
    for batch in encoded:
        done += batch.num_rows
        log.info("embedded %d of %d distinct pins", done, total)
        yield batch.select(PIN_EMBEDDINGS.schema.names)
