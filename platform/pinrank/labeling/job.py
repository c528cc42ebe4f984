"""Grading shards as a stream: a CPU stage tokenises, engine actors grade and commit.

A Ray Data row is a whole shard, never a pair: what Ray moves, retries and reports is the unit that is committed.
The pairs themselves travel as Arrow inside the row, so that a pair costs microseconds and no Python object.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from ray.data import ActorPoolStrategy, Dataset
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError

from pinrank.errors import CommitError, ModelError, PinrankError
from pinrank.faults import Fault, fault
from pinrank.labeling.commit import QUARANTINE, WORK, commit_shard, shard_path
from pinrank.labeling.shards import PAIRS, Grading, Shard
from pinrank.levels import NUM_LEVELS
from pinrank.tables import SOFT_LABELS, quarantine
from pinrank.teacher.score import Engine, EngineSettings, open_engine, open_tokenizer
from pinrank.teacher.tokens import PairTokenizer, Prompt

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 5.0
TOKENISED = pa.struct([*PAIRS, pa.field("token_ids", pa.list_(pa.int32())), pa.field("second_start", pa.int32())])
"""A pair between the two stages."""


class WorkerSettings(BaseModel):
    """How many processes grade, and what each of them takes of the cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: tuple[int, int] = Field((1, 1), description="engine actors, at least and at most")
    engine_cpus: float = Field(1, ge=0, description="CPUs that Ray reserves for an engine actor")
    engine_gpus: float = Field(0, ge=0, description="GPUs that Ray reserves for an engine actor")
    engine_threads: int = Field(2, ge=1, description="threads of an engine on the CPU")
    tokenise_cpus: float = Field(1, gt=0, description="CPUs that Ray reserves for a tokenising task")
    stall_timeout_s: float = Field(1800, gt=0, description="end the job when no shard moves for this long")

    @model_validator(mode="after")
    def _grows_from_least_to_most(self) -> "WorkerSettings":
        least, most = self.concurrency
        if not 1 <= least <= most:
            raise ValueError(f"concurrency must be [least, most] with 1 <= least <= most, got {self.concurrency}")
        return self


@dataclass(frozen=True)
class Job:
    """What every stage has to know. The folders must be reachable from every node of the cluster."""

    output: Path
    teacher: str
    engine: EngineSettings
    grading: Grading


def grade(job: Job, pairs: pa.Table, shards: Sequence[Shard], done: set[str], workers: WorkerSettings) -> None:
    """Grade and commit the shards that are not done. `pairs` (PAIRS) are those that the shards were cut from.

    Raises the PinrankError of a stage as it is, and CommitError when nothing moves for workers.stall_timeout_s.
    """
    todo = [{"shard": shard.name, "group": group} for group, shard in enumerate(shards) if shard.name not in done]
    if not todo:
        return
    work = job.output / WORK
    pq.write_table(pairs, work, row_group_size=job.grading.rows_per_shard, compression="zstd")
    try:
        _report(_stream(job, todo, workers), rows_done=_rows(shards, done), rows_total=pairs.num_rows)
    except (RayError, ExecutionTimeoutError) as error:
        raise _as_ours(error) from error
    finally:
        work.unlink()


def tokenise(batch: pa.Table, job: Job) -> pa.Table:
    """The CPU stage: a row that names a shard becomes the row that holds its tokenised pairs."""
    pairs = pq.ParquetFile(job.output / WORK).read_row_group(batch.column("group")[0].as_py())
    tokenizer = _tokenizer(job.teacher, job.grading.teacher)
    texts = zip(pairs.column("query").to_pylist(), pairs.column("pin_text").to_pylist(), strict=True)
    prompts = tokenizer.prompts(list(texts))
    columns = [
        *(pairs.column(name).combine_chunks() for name in PAIRS.names),
        pa.array([prompt.token_ids for prompt in prompts], pa.list_(pa.int32())),
        pa.array([prompt.second_start for prompt in prompts], pa.int32()),
    ]
    whole = pa.StructArray.from_arrays(columns, fields=list(TOKENISED))
    return pa.table(
        {
            "shard": batch.column("shard"),
            "pairs": pa.ListArray.from_arrays(pa.array([0, len(whole)], pa.int32()), whole),
        }
    )


class Grader:
    """The engine stage: holds one engine for its whole life, grades a shard at a time and commits it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.refused: PinrankError | None = None
        try:
            self.engine = _open(job)
        except PinrankError as error:
            self.refused = error  # raised by the first call: an error of a constructor reaches the driver as text only

    def __call__(self, batch: pa.Table) -> pa.Table:
        if self.refused:
            raise self.refused
        name = batch.column("shard")[0].as_py()
        pairs = pa.Table.from_struct_array(batch.column("pairs").combine_chunks().flatten())
        if not shard_path(self.job.output, name).exists():
            self._commit(name, pairs)
        return pa.table({"shard": [name], "rows": [pairs.num_rows], "tokens": [int(_lengths(pairs).sum())]})

    def _commit(self, name: str, pairs: pa.Table) -> None:
        logits_NL = self.engine.grade(_prompts(pairs))
        labels = soft_labels(pairs, logits_NL, self.job.grading.teacher)
        kept = quarantine(labels, not_finite(logits_NL), str(self.job.output / QUARANTINE), f"shard-{name}", name)
        commit_shard(kept, self.job.output, name, self.job.grading)


def soft_labels(pairs: pa.Table, logits_NL: np.ndarray, teacher: str) -> pa.Table:
    """Tokenised pairs and their logits_NL (float32) as rows of SOFT_LABELS."""
    flat = pa.array(np.ascontiguousarray(logits_NL, dtype=np.float32).reshape(-1))
    columns = {
        "logits": pa.FixedSizeListArray.from_arrays(flat, NUM_LEVELS),
        "num_tokens": pa.array(_lengths(pairs), pa.int32()),
        "teacher": pa.repeat(teacher, pairs.num_rows),
    }
    chosen = [columns[name] if name in columns else pairs.column(name) for name in SOFT_LABELS.schema.names]
    return pa.table(chosen, schema=SOFT_LABELS.schema)


def not_finite(logits_NL: np.ndarray) -> list[Fault]:
    """The rows whose logits hold a NaN or an infinity."""
    broken = ~np.isfinite(logits_NL).all(axis=1)
    return fault("logits", "are not finite", "Grade in float32, or look at the teacher's weights.", broken)


def _open(job: Job) -> Engine:
    engine = open_engine(job.teacher, job.engine)
    if engine.card.version != job.grading.teacher:
        raise ModelError(
            f"{job.teacher}: holds teacher {engine.card.version} here, the job was started with {job.grading.teacher}. "
            "Put the same folder on every node, and leave it alone while a job runs."
        )
    return engine


def _stream(job: Job, todo: Sequence[dict[str, Any]], workers: WorkerSettings) -> Dataset:
    least, most = workers.concurrency
    stream = (
        ray.data.from_items(list(todo), override_num_blocks=len(todo))
        .map_batches(
            tokenise, fn_kwargs={"job": job}, batch_size=1, batch_format="pyarrow", num_cpus=workers.tokenise_cpus
        )
        .map_batches(
            Grader,
            fn_constructor_kwargs={"job": job},
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=least, max_size=most),
            num_cpus=workers.engine_cpus,
            num_gpus=workers.engine_gpus,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(workers.engine_threads)}},
        )
    )
    stream.context.enable_progress_bars = False
    stream.context.print_on_execution_start = False
    stream.context.raise_original_map_exception = True
    stream.context.execution_no_progress_timeout_s = workers.stall_timeout_s
    return stream


def _report(stream: Dataset, rows_done: int, rows_total: int) -> None:
    since, rows, tokens = time.monotonic(), 0, 0
    for batch in stream.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        rows += sum(batch.column("rows").to_pylist())
        tokens += sum(batch.column("tokens").to_pylist())
        passed_s = time.monotonic() - since
        if passed_s >= PROGRESS_EVERY_S or rows_done + rows == rows_total:
            rows_done += rows
            speed = f"{rows / passed_s:,.0f} rows/s, {tokens / passed_s:,.0f} tokens/s"
            log.info("graded %d of %d pairs (%.1f%%), %s", rows_done, rows_total, 100 * rows_done / rows_total, speed)
            since, rows, tokens = time.monotonic(), 0, 0


def _rows(shards: Sequence[Shard], names: set[str]) -> int:
    return sum(shard.stop - shard.start for shard in shards if shard.name in names)


def _as_ours(error: Exception) -> PinrankError:
    """The error for people that a stage raised, or the failure in one line."""
    cause = getattr(error, "cause", error)
    if isinstance(cause, PinrankError):
        return cause
    said = " ".join(str(cause).split())[:300]
    return CommitError(f"labelling stopped: {type(cause).__name__}: {said}. The same command goes on from here.")


@lru_cache(maxsize=1)
def _tokenizer(folder: str, version: str) -> PairTokenizer:
    return open_tokenizer(folder)  # the version is there for the cache: a worker may outlive the teacher in a folder


def _prompts(pairs: pa.Table) -> list[Prompt]:
    starts = pairs.column("second_start").to_pylist()
    return [Prompt(ids, start) for ids, start in zip(pairs.column("token_ids").to_pylist(), starts, strict=True)]


def _lengths(pairs: pa.Table) -> np.ndarray:
    return np.asarray(pc.list_value_length(pairs.column("token_ids")), dtype=np.int64)
