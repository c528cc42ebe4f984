"""Doing the shards of a folder that are missing, as a stream of Ray Data.

A row of the stream is a whole shard, never a row of the work: what Ray moves, retries and reports is the unit that is
committed. Its first stage gets rows that name a shard and its row group in the work file (WORK); its last stage commits
the shard and says so with a row: `shard`, `rows`, and other numbers that are worth a rate in the log.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from pydantic import AfterValidator
from ray.data import ActorPoolStrategy, Dataset
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError

from pinrank.errors import CommitError
from pinrank.ray_stream import batches_of
from pinrank.shard_folder import WORK, Shard

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
"""Rows that name a shard: `shard`, `group`."""


@dataclass(frozen=True)
class Actors:
    """How many actors a stage has, and what each of them takes of the cluster."""

    concurrency: tuple[int, int]
    cpus: float
    gpus: float
    threads: int


@dataclass(frozen=True)
class Work:
    """The ordered rows of a job, and the shards that they were cut into."""

    rows: pa.Table
    shards: Sequence[Shard]
    rows_per_shard: int


def finish(
    work: Work, done: set[str], output: Path, stream_of: Callable[[Todo], Dataset], stall_timeout_s: float
) -> None:
    """Do the shards that are not done. `stream_of` builds the stages over the rows that name them.

    Raises the PinrankError of a stage as it is, and CommitError when nothing moves for stall_timeout_s.
    """
    todo = [{"shard": shard.name, "group": group} for group, shard in enumerate(work.shards) if shard.name not in done]
    if not todo:
        return
    path = output / WORK
    pq.write_table(work.rows, path, row_group_size=work.rows_per_shard, compression="zstd")
    try:
        stream = batches_of(stream_of(todo), stall_timeout_s)
        rows_done = sum(shard.stop - shard.start for shard in work.shards if shard.name in done)
        _report(stream, rows_done, work.rows.num_rows)
    except (RayError, ExecutionTimeoutError) as error:
        cause = getattr(error, "cause", error)
        said = f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
        raise CommitError(f"the job stopped: {said}. The same command goes on from here.") from error
    finally:
        path.unlink()


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


def read_work(output: Path, batch: pa.Table) -> pa.Table:
    """The rows of the shard that a row of the stream names."""
    return pq.ParquetFile(output / WORK).read_row_group(batch.column("group")[0].as_py())


def _report(stream: Iterable[pa.Table], rows_done: int, rows_total: int) -> None:
    since, passed = time.monotonic(), Counter[str]()
    for batch in stream:
        for name in batch.column_names:
            if name != "shard":
                passed[name] += sum(batch.column(name).to_pylist())
        passed_s = time.monotonic() - since
        if passed_s >= PROGRESS_EVERY_S or rows_done + passed["rows"] == rows_total:
            rows_done += passed["rows"]
            speed = ", ".join(f"{number / passed_s:,.0f} {name}/s" for name, number in passed.items())
            log.info("%d of %d rows done (%.1f%%), %s", rows_done, rows_total, 100 * rows_done / rows_total, speed)
            since, passed = time.monotonic(), Counter[str]()
