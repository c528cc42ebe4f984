"""Encoding shards of texts: as a stream in which a task reads a shard, and actors encode and commit it; or, where there
are few, one after the other in this process, which takes less time than an actor takes to start."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pinrank.embeddings.encode import EncodingSettings
from pinrank.embeddings.work import ENCODED, Encoding, EngineName, Prepared
from pinrank.errors import ModelError, PinrankError
from pinrank.precision import Precision
from pinrank.shard_folder import commit_shard, shard_path
from pinrank.shard_stream import Actors, Tasks, finish, reported, two_stages
from pinrank.shard_work import Todo, read_work
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.onnx import OnnxEncoder, file_of
from pinrank.student.tower_folder import ENCODER, PIN_ENCODER
from pinrank.text import FIELDS

if TYPE_CHECKING:
    from ray.data import Dataset

READ_CPUS = 0.5
"""That Ray reserves for a task that reads a shard."""


@dataclass(frozen=True)
class Job:
    """What every stage has to know. The folders must be reachable from every node of the cluster."""

    folder: Path
    student: str
    encoding: Encoding
    settings: EncodingSettings


def encode(job: Job, prepared: Prepared, stall_timeout_s: float) -> None:
    """Encode and commit the shards that are not done. Needs a Ray session.

    Raises the PinrankError of a stage as it is, and CommitError when nothing moves for stall_timeout_s.
    """
    finish("embed_pins", prepared.work, prepared.done, lambda todo: _stream(job, todo), stall_timeout_s)


def encode_here(job: Job, prepared: Prepared, student: StudentBundle) -> None:
    """Encode and commit the shards that are not done with a student that is open (`open_encoder`), without Ray."""
    for told in prepared.work.todo(prepared.done):
        texts = read_work(pa.Table.from_pylist([told]))
        commit_shard(encoded(texts, student, job.settings.precision), job.folder, told["shard"], job.encoding)


def read(batch: pa.Table, job: Job) -> pa.Table:
    """The first stage: a row that names a shard becomes the row that holds its texts."""
    texts = read_work(batch).to_struct_array().combine_chunks()
    whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    return pa.table({"shard": batch["shard"], "texts": whole})


class EncodeStage:
    """The second stage: holds one tower for its whole life, encodes a shard at a time and commits it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.refused: PinrankError | None = None
        try:
            self.student = open_encoder(job.student, job.encoding, job.settings.threads_per_actor)
        except PinrankError as error:
            self.refused = error  # raised by the first call: an error of a constructor reaches the driver as text only

    def __call__(self, batch: pa.Table) -> pa.Table:
        if self.refused:
            raise self.refused
        name = batch["shard"][0].as_py()
        texts = pa.Table.from_struct_array(batch["texts"].combine_chunks().flatten())
        if not shard_path(self.job.folder, name).exists():
            rows = encoded(texts, self.student, self.job.settings.precision)
            commit_shard(rows, self.job.folder, name, self.job.encoding)
        return reported(name, rows=texts.num_rows)


def encoded(texts: pa.Table, student: StudentBundle, precision: Precision) -> pa.Table:
    """Texts (work.TEXT) to their vectors (ENCODED)."""
    read_N = student.pin_texts(texts.select(list(FIELDS)).to_pylist())
    vectors_ND = student.encode_pins(read_N, precision).astype(np.float16)
    offsets = pa.array(np.arange(len(vectors_ND) + 1, dtype=np.int32) * vectors_ND.shape[1])
    vectors = pa.ListArray.from_arrays(offsets, pa.array(vectors_ND.ravel(), pa.float16()))
    return pa.table([texts["fingerprint"], vectors], schema=ENCODED)


def open_encoder(folder: str, encoding: Encoding, threads: int) -> StudentBundle:
    """A student whose pin tower runs on an engine. Raises ModelError when it is another one, or has no such form."""
    import torch

    torch.set_num_threads(threads)
    student = open_student(folder)
    if student.version != encoding.encoder:
        raise ModelError(
            f"{folder}: holds student {student.version} here, the job was started with {encoding.encoder}. Put the "
            "same folder on every node, and leave it alone while a job runs."
        )
    return on_engine(student, encoding.engine, threads)


def on_engine(student: StudentBundle, engine: EngineName, threads: int) -> StudentBundle:
    """The student with its pin tower under an engine; ModelError when the bundle does not hold that form."""
    if engine == "transformers":
        return student
    path = file_of(student.folder, "fp32")
    if not path.exists() or (student.folder / PIN_ENCODER).exists():
        raise ModelError(
            f"{student.folder}: holds no pin tower as fp32 ONNX: that is there when one tower reads queries and pins "
            "and train_student ran with --onnx. Choose --engine transformers."
        )
    tower = OnnxEncoder.open(path, student.folder / ENCODER, threads)
    return student.with_encoders(tower, tower)


def _stream(job: Job, todo: Todo) -> "Dataset":
    most = min(job.settings.concurrency, len(todo))
    settings = job.settings
    actors = Actors((most, most), settings.cpus_per_actor, settings.gpus_per_actor, settings.threads_per_actor)
    return two_stages(todo, Tasks(read, READ_CPUS), EncodeStage, actors, job)
