"""Captioning shards as a stream: a CPU stage fetches pictures, model actors decode, caption and commit."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field

from pinrank.captions.images import Fetcher, ImageSettings, Unreadable, decode
from pinrank.captions.model import Captioner, CaptionSettings, model_version
from pinrank.captions.work import Captioning
from pinrank.errors import ModelError, PinrankError
from pinrank.faults import Fault, fault
from pinrank.shard_folder import QUARANTINE, commit_shard, shard_path
from pinrank.shard_stream import Actors, Concurrency, Tasks, finish, reported, two_stages
from pinrank.shard_work import Todo, Work, read_work
from pinrank.tables import CAPTIONS, quarantine

if TYPE_CHECKING:
    from ray.data import Dataset

FETCHED = pa.struct(
    [
        ("pin_id", pa.string()),
        ("image_url", pa.string()),
        ("content", pa.large_binary()),
        ("image_hash", pa.string()),
        ("unreadable", pa.string()),
    ]
)
"""A picture between the two stages: its file, or the reason why there is none."""


class WorkerSettings(BaseModel):
    """How many processes caption, and what each of them takes of the cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: Concurrency = Field((1, 1), description="model actors, at least and at most")
    model_cpus: float = Field(1, ge=0, description="CPUs that Ray reserves for a model actor")
    model_gpus: float = Field(0, ge=0, description="GPUs that Ray reserves for a model actor")
    model_threads: int = Field(2, ge=1, description="threads of a model on the CPU")
    fetch_cpus: float = Field(0.5, gt=0, description="CPUs that Ray reserves for a fetching task")
    fetch_threads: int = Field(16, ge=1, description="pictures that a fetching task waits for at a time")
    stall_timeout_s: float = Field(1800, gt=0, description="end the job when no shard moves for this long")


@dataclass(frozen=True)
class Job:
    """What every stage has to know. The folders must be reachable from every node of the cluster."""

    output: Path
    captions: CaptionSettings
    images: ImageSettings
    captioning: Captioning
    fetch_threads: int


def caption(job: Job, work: Work, done: set[str], workers: WorkerSettings) -> None:
    """Caption and commit the shards of the work (PICTURES) that are not done.

    Raises the PinrankError of a stage as it is, and CommitError when nothing moves for workers.stall_timeout_s.
    """
    finish("caption_images", work, done, lambda todo: _stream(job, todo, workers), workers.stall_timeout_s)


def fetch(batch: pa.Table, job: Job) -> pa.Table:
    """The CPU stage: a row that names a shard becomes the row that holds its pictures' files."""
    rows = read_work(batch).to_pylist()
    fetcher = Fetcher(job.images)
    try:
        with ThreadPoolExecutor(job.fetch_threads) as threads:
            found = list(threads.map(lambda row: _fetched(fetcher, row["image_url"]), rows))
    finally:
        fetcher.close()
    whole = pa.array([row | got for row, got in zip(rows, found, strict=True)], FETCHED)
    offsets = pa.array([0, len(whole)], pa.int32())
    return pa.table({"shard": batch.column("shard"), "pictures": pa.ListArray.from_arrays(offsets, whole)})


class CaptionStage:
    """The model stage: holds one model for its whole life, captions a shard at a time and commits it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.refused: PinrankError | None = None
        try:
            self.captioner = _open(job)
        except PinrankError as error:
            self.refused = error  # raised by the first call: an error of a constructor reaches the driver as text only

    def __call__(self, batch: pa.Table) -> pa.Table:
        if self.refused:
            raise self.refused
        name = batch.column("shard")[0].as_py()
        rows = pa.Table.from_struct_array(batch.column("pictures").combine_chunks().flatten())
        quarantined = 0
        if not shard_path(self.job.output, name).exists():
            quarantined = self._commit(name, rows)
        return reported(name, rows=rows.num_rows, quarantined=quarantined)

    def _commit(self, name: str, rows: pa.Table) -> int:
        captions, reasons = self._captions(rows)
        columns = {
            "caption": pa.array(captions, pa.string()),
            "model": pa.repeat(self.job.captioning.model, rows.num_rows),
        }
        told = [columns[field] if field in columns else rows.column(field) for field in CAPTIONS.schema.names]
        table = pa.table(told, schema=CAPTIONS.schema).append_column("image_url", rows.column("image_url"))
        folder = str(self.job.output / QUARANTINE)
        kept = quarantine(table, unreadable(reasons), folder, f"shard-{name}", name)
        commit_shard(kept.select(CAPTIONS.schema.names), self.job.output, name, self.job.captioning)
        return int(rows.num_rows - kept.num_rows)

    def _captions(self, rows: pa.Table) -> tuple[list[str | None], list[str | None]]:
        """A caption or the reason for none, of each row; the same file is decoded and captioned once."""
        said: dict[str, str] = {}
        reason_of: dict[str, str] = {}
        waiting: dict[str, Image] = {}
        hashes = rows.column("image_hash").to_pylist()
        last_of = {key: row for row, key in enumerate(hashes) if key is not None}
        for number, (key, row) in enumerate(last_of.items(), start=1):
            try:
                waiting[key] = decode(rows.column("content")[row].as_py(), self.job.images)
            except Unreadable as cause:
                reason_of[key] = str(cause)
            if len(waiting) == self.job.captions.batch_size or number == len(last_of):
                said |= zip(waiting, self.captioner.caption(list(waiting.values())), strict=True)
                waiting.clear()
        reason_of |= {key: "shows nothing that the model has words for" for key, text in said.items() if not text}
        unread = rows.column("unreadable").to_pylist()
        return (
            [said.get(key) or None for key in hashes],
            [given or reason_of.get(key) for key, given in zip(hashes, unread, strict=True)],
        )


def unreadable(reasons: Sequence[str | None]) -> list[Fault]:
    """The rows that have a reason why there is no caption, by reason."""
    found: list[Fault] = []
    for reason in sorted({reason for reason in reasons if reason}):
        broken = np.asarray([each == reason for each in reasons], dtype=bool)
        found += fault("image_url", reason, "Mend the picture, or leave the pin without a caption.", broken)
    return found


def _fetched(fetcher: Fetcher, image_url: str) -> dict[str, bytes | str | None]:
    try:
        content = fetcher.fetch(image_url)
    except Unreadable as cause:
        return {"content": None, "image_hash": None, "unreadable": str(cause)}
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    return {"content": content, "image_hash": digest, "unreadable": None}


def _open(job: Job) -> Captioner:
    if (held := model_version(job.captions.model)) != job.captioning.model:
        raise ModelError(
            f"{job.captions.model}: is {held} here, the job was started with {job.captioning.model}. Put the same "
            "folder on every node, and leave it alone while a job runs."
        )
    return Captioner(job.captions)


def _stream(job: Job, todo: Todo, workers: WorkerSettings) -> "Dataset":
    actors = Actors(workers.concurrency, workers.model_cpus, workers.model_gpus, workers.model_threads)
    return two_stages(todo, Tasks(fetch, workers.fetch_cpus), CaptionStage, actors, job)
