"""Doing the shards of a folder that are missing, as a stream of Ray Data.

A row of the stream is a whole shard, never a row of the work: what Ray moves, retries and reports is the unit that is
committed. Its first stage gets rows that name a shard and its place in the work file (pinrank.shard_work); its last
stage commits the shard and says so with the row that `reported` makes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import pyarrow as pa
import ray
from pydantic import AfterValidator
from ray.data import ActorPoolStrategy, Dataset
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError

from pinrank.errors import CommitError
from pinrank.ray_stream import batches_of
from pinrank.shard_progress import Progress
from pinrank.shard_work import Todo, Work


def _least_to_most(bounds: tuple[int, int]) -> tuple[int, int]:
    least, most = bounds
    if not 1 <= least <= most:
        raise ValueError(f"concurrency must be [least, most] with 1 <= least <= most, got {bounds}")
    return bounds


Concurrency = Annotated[tuple[int, int], AfterValidator(_least_to_most)]
"""How many actors a stage has, at least and at most."""


@dataclass(frozen=True)
class Tasks:
    """The first stage: what is done to a row of Todo, the CPUs that a task takes, and how many shards.

    A task costs Ray 10 ms and more, whatever it does, so that many shards a task suit those that are prepared soon.
    """

    prepare: Callable[..., pa.Table]
    cpus: float
    shards: int = 1


@dataclass(frozen=True)
class Actors:
    """How many actors a stage has, and what each of them takes of the cluster."""

    concurrency: tuple[int, int]
    cpus: float
    gpus: float
    threads: int
    calls: int = 1  # shards that are in one actor at a time
    accelerator_type: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


TASKS_AT_LEAST = 16
"""Of the first stage, where there are so many shards, however many of them a task takes."""

MOST_DEATHS_AT_START = 3
"""Actors that may die in a row while they open what they need: a lost machine is replaced, a broken model is not."""


def finish(name: str, work: Work, done: set[str], stream_of: Callable[[Todo], Dataset], stall_timeout_s: float) -> None:
    """Do the shards that are not done. `stream_of` builds the stages over the rows that name them; `name` is the job's.

    Raises the PinrankError of a stage as it is, and CommitError when nothing moves for stall_timeout_s.
    """
    if not (todo := work.todo(done)):
        return
    try:
        stream = stream_of(todo)
        stream.context.max_consecutive_actor_init_deaths = MOST_DEATHS_AT_START
        stream.context.target_max_block_size = 1  # byte: whatever a stage makes of a shard is handed on at once
        rows_done = sum(shard.stop - shard.start for shard in work.shards if shard.name in done)
        progress = Progress(name, rows_done, work.num_rows)
        for shards in batches_of(stream, stall_timeout_s):
            progress.add(shards)
    except (RayError, ExecutionTimeoutError) as error:
        cause = getattr(error, "cause", error)
        said = f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
        raise CommitError(f"the job stopped: {said}. The same command goes on from here.") from error


def two_stages(todo: Todo, tasks: Tasks, stage: type, actors: Actors, job: object) -> Dataset:
    """A stream of whole shards: tasks.prepare(batch, job=job), then actors of the class stage(job)."""
    least, most = actors.concurrency
    most_tasks = min(len(todo), max(TASKS_AT_LEAST, -(-len(todo) // tasks.shards)))
    return (
        ray.data.from_items(todo, override_num_blocks=most_tasks)
        .map_batches(tasks.prepare, fn_kwargs={"job": job}, batch_size=1, batch_format="pyarrow", num_cpus=tasks.cpus)
        .map_batches(
            stage,
            fn_constructor_kwargs={"job": job},
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(
                min_size=least,
                max_size=most,
                max_concurrent_calls_per_actor=actors.calls,
                enable_true_multi_threading=actors.calls > 1,
            ),
            num_cpus=actors.cpus,
            num_gpus=actors.gpus,
            **({"accelerator_type": actors.accelerator_type} if actors.accelerator_type else {}),
            **({"resources": dict(actors.resources)} if actors.resources else {}),
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(actors.threads)}},
        )
    )


def reported(shard: str, **numbers: float) -> pa.Table:
    """The row of an actor that has committed a shard: its `rows`, and other numbers of pinrank.shard_progress.DONE."""
    worker = ray.get_runtime_context().get_actor_id()
    return pa.table({"shard": [shard], "worker": [worker], **{name: [number] for name, number in numbers.items()}})
