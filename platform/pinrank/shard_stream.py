"""Doing the shards of a folder that are missing, as a stream of Ray Data.

A row of the stream is a whole shard, never a row of the work: what Ray moves, retries and reports is the unit that is
committed. Its first stage gets rows that name a shard and its row group in the work file (pinrank.shard_work); its last
stage commits the shard and says so with a row: `shard`, `rows`, and other numbers that are worth a rate in the log.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pyarrow as pa
import ray
from pydantic import AfterValidator
from ray.data import ActorPoolStrategy, Dataset
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError

from pinrank.errors import CommitError, PinrankError
from pinrank.shard_work import Work

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 5.0


def _least_to_most(bounds: tuple[int, int]) -> tuple[int, int]:
    least, most = bounds
    if not 1 <= least <= most:
        raise ValueError(f"concurrency must be [least, most] with 1 <= least <= most, got {bounds}")
    return bounds


Concurrency = Annotated[tuple[int, int], AfterValidator(_least_to_most)]
"""How many actors a stage has, at least and at most."""

Todo = list[dict[str, Any]]
"""Rows that name a shard: `shard`, its `group` in the file `work`."""


@dataclass(frozen=True)
class Actors:
    """How many actors a stage has, and what each of them takes of the cluster."""

    concurrency: tuple[int, int]
    cpus: float
    gpus: float
    threads: int


def finish(work: Work, done: set[str], stream_of: Callable[[Todo], Dataset], stall_timeout_s: float) -> None:
    """Do the shards that are not done. `stream_of` builds the stages over the rows that name them.

    Raises the PinrankError of a stage as it is, and CommitError when nothing moves for stall_timeout_s.
    """
    missing = [(group, shard.name) for group, shard in enumerate(work.shards) if shard.name not in done]
    todo = [{"shard": name, "group": group, "work": str(work.path)} for group, name in missing]
    if not todo:
        return
    try:
        stream = stream_of(todo)
        stream.context.enable_progress_bars = False
        stream.context.print_on_execution_start = False
        stream.context.raise_original_map_exception = True
        stream.context.execution_no_progress_timeout_s = stall_timeout_s
        rows_done = sum(shard.stop - shard.start for shard in work.shards if shard.name in done)
        _report(stream, rows_done, work.num_rows)
    except (RayError, ExecutionTimeoutError) as error:
        raise _as_ours(error) from error


def two_stages(
    todo: Todo, prepare: Callable[..., pa.Table], prepare_cpus: float, stage: type, actors: Actors, job: object
) -> Dataset:
    """A stream of whole shards: tasks prepare(batch, job=job), then actors of the class stage(job)."""
    least, most = actors.concurrency
    return (
        ray.data.from_items(todo, override_num_blocks=len(todo))
        .map_batches(prepare, fn_kwargs={"job": job}, batch_size=1, batch_format="pyarrow", num_cpus=prepare_cpus)
        .map_batches(
            stage,
            fn_constructor_kwargs={"job": job},
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=least, max_size=most),
            num_cpus=actors.cpus,
            num_gpus=actors.gpus,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(actors.threads)}},
        )
    )


def _report(stream: Dataset, rows_done: int, rows_total: int) -> None:
    since, passed = time.monotonic(), Counter[str]()
    for batch in stream.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for name in batch.column_names:
            if name != "shard":
                passed[name] += sum(batch.column(name).to_pylist())
        passed_s = time.monotonic() - since
        if passed_s >= PROGRESS_EVERY_S or rows_done + passed["rows"] == rows_total:
            rows_done += passed["rows"]
            speed = ", ".join(f"{number / passed_s:,.0f} {name}/s" for name, number in passed.items())
            log.info("%d of %d rows done (%.1f%%), %s", rows_done, rows_total, 100 * rows_done / rows_total, speed)
            since, passed = time.monotonic(), Counter[str]()


def _as_ours(error: Exception) -> PinrankError:
    """The error for people that a stage raised, or the failure in one line."""
    cause = getattr(error, "cause", error)
    if isinstance(cause, PinrankError):
        return cause
    said = " ".join(str(cause).split())[:300]
    return CommitError(f"the job stopped: {type(cause).__name__}: {said}. The same command goes on from here.")
