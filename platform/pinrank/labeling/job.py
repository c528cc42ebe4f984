"""Grading shards as a stream: a CPU stage tokenises, engine actors grade and commit.

The stream's rows are shards (pinrank.shard_stream). The pairs themselves travel as Arrow inside the row, so that a pair
costs microseconds and no Python object.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field
from ray.data import Dataset

from pinrank.errors import ModelError, PinrankError
from pinrank.faults import Fault, fault
from pinrank.labeling.busy import Busy
from pinrank.labeling.parity import Probe, refuse_other_grades
from pinrank.labeling.poison import Gate, Graded, Tries, grade_without_poison
from pinrank.labeling.shards import WORK, Grading
from pinrank.levels import NUM_LEVELS
from pinrank.shard_folder import QUARANTINE, commit_shard, shard_path
from pinrank.shard_stream import Actors, Concurrency, Tasks, finish, reported, two_stages
from pinrank.shard_work import Todo, Work, read_work
from pinrank.soft_labels import logits_of
from pinrank.tables import SOFT_LABELS, quarantine
from pinrank.teacher.engine import EngineDead
from pinrank.teacher.score import Engine, EngineSettings, open_engine, open_tokenizer
from pinrank.teacher.tokens import Prompt

log = logging.getLogger(__name__)

SENT = [field for field in WORK if field.name != "pin_text"]
TOKENISED = pa.struct([*SENT, pa.field("token_ids", pa.list_(pa.int32())), pa.field("second_start", pa.int32())])
"""A pair between the two stages; no tokens where its grade is known."""


SHARDS_PER_TASK = 8
"""That a task tokenises, one after the other; each goes to an engine as soon as it is ready."""


class Tokenizer(Protocol):
    """What makes prompts of (query, pin text) pairs."""

    def prompts(self, pairs: Sequence[tuple[str, str]]) -> list[Prompt]: ...


class WorkerSettings(BaseModel):
    """How many processes grade, and what each of them takes of the cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: Concurrency = Field((1, 1), description="engine actors, at least and at most")
    engine_cpus: float = Field(1, ge=0, description="CPUs that Ray reserves for an engine actor")
    engine_gpus: float = Field(0, ge=0, description="GPUs that Ray reserves for an engine actor")
    engine_threads: int = Field(2, ge=1, description="threads of an engine on the CPU")
    accelerator_type: str | None = Field(None, description="Ray's name of the accelerator that an engine needs, as L4")
    resources: dict[str, float] = Field({}, description="other resources of the cluster that an engine actor takes")
    tokenise_cpus: float = Field(1, gt=0, description="CPUs that Ray reserves for a tokenising task")
    stall_timeout_s: float = Field(1800, gt=0, description="end the job when no shard moves for this long")


@dataclass(frozen=True)
class Opening:
    """How a worker opens what it needs: a teacher's folder, but for tests and benchmarks of the job itself."""

    engine: Callable[[str, EngineSettings], Engine] = open_engine
    tokenizer: Callable[[str], Tokenizer] = open_tokenizer


TEACHER = Opening()


@dataclass(frozen=True)
class Job:
    """What every stage has to know. The folders must be reachable from every node of the cluster."""

    output: Path
    teacher: str
    engine: EngineSettings
    grading: Grading
    to_grade: int = 1  # pairs whose grade is not known; without any, no engine is opened
    probe: Probe | None = None  # what an engine must agree with before its first row
    opening: Opening = TEACHER


def grade(job: Job, work: Work, done: set[str], workers: WorkerSettings) -> None:
    """Grade and commit the shards of the work (WORK) that are not done.

    Raises the PinrankError of a stage as it is, and CommitError when nothing moves for workers.stall_timeout_s.
    """
    finish("label_impressions", work, done, lambda todo: _stream(job, todo, workers), workers.stall_timeout_s)


def task_options(workers: WorkerSettings) -> dict[str, Any]:
    """What a task takes of the cluster that stands for an engine actor."""
    return {
        "num_cpus": workers.engine_cpus,
        "num_gpus": workers.engine_gpus,
        "accelerator_type": workers.accelerator_type,
        "resources": workers.resources or None,
        "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(workers.engine_threads)}},
    }


def tokenise(batch: pa.Table, job: Job) -> pa.Table:
    """The CPU stage: a row that names a shard becomes the row that holds its tokenised pairs."""
    pairs = read_work(batch)
    unknown_N = pc.is_null(pairs.column("logits")).to_numpy()
    texts = pairs.select(["query", "pin_text"]).filter(pa.array(unknown_N))
    told = zip(texts.column("query").to_pylist(), texts.column("pin_text").to_pylist(), strict=True)
    prompts = _tokenizer(job.opening.tokenizer, job.teacher, job.grading.teacher).prompts(list(told))
    token_ids = pa.array([prompt.token_ids for prompt in prompts], pa.list_(pa.int32()))
    starts = pa.array([prompt.second_start for prompt in prompts], pa.int32())
    place = pa.array(np.where(unknown_N, np.cumsum(unknown_N) - 1, 0), mask=~unknown_N)
    sent = [pairs.column(field.name).combine_chunks() for field in SENT]
    columns = [*sent, token_ids.take(place), starts.take(place)]
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
        self.engine: Engine | None = None
        self.gate = Gate()
        self.busy = Busy()
        try:
            self.engine = _open(job) if job.to_grade else None
        except PinrankError as error:
            self.refused = error  # raised by the first call: an error of a constructor reaches the driver as text only

    def __call__(self, batch: pa.Table) -> pa.Table:
        if self.refused:
            raise self.refused
        name = batch.column("shard")[0].as_py()
        pairs = pa.Table.from_struct_array(batch.column("pairs").combine_chunks().flatten())
        graded = pairs.num_rows - pairs.column("token_ids").null_count
        quarantined = 0
        if not shard_path(self.job.output, name).exists():
            quarantined = self.commit(name, pairs)
        tokens = pc.sum(pc.list_value_length(pairs.column("token_ids"))).as_py() or 0
        numbers = {"graded": graded, "tokens": tokens, "quarantined": quarantined, "busy_seconds": self.busy.take()}
        return reported(name, rows=pairs.num_rows, **numbers)

    def commit(self, name: str, pairs: pa.Table) -> int:
        """Grade a shard's pairs (TOKENISED) and write it; returns how many were set aside."""
        tries = Tries.of(self.job.output, name)
        unknown_N = pc.is_valid(pairs.column("token_ids")).to_numpy()
        graded = self._grade(prompts_of(pairs.filter(pa.array(unknown_N))), tries)
        labels = soft_labels(pairs, graded.logits_NL, self.job.grading.teacher)
        numbers_N = np.flatnonzero(unknown_N)
        refused = {int(numbers_N[row]): reason for row, reason in graded.refused.items()}
        found = [*poisonous(refused), *not_finite(logits_of(labels), leave_out=list(refused))]
        kept = quarantine(labels, found, str(self.job.output / QUARANTINE), f"shard-{name}", name)
        commit_shard(kept, self.job.output, name, self.job.grading)
        tries.forget()
        return int(pairs.num_rows - kept.num_rows)

    def _grade(self, prompts: Sequence[Prompt], tries: Tries) -> Graded:
        if self.engine is None:
            return Graded(np.empty((0, NUM_LEVELS), dtype=np.float32), {})
        try:
            with self.gate.entered(tries), self.busy.inside():
                return grade_without_poison(self.engine.grade, prompts, tries)
        except EngineDead:
            log.exception("the engine is dead; this process ends, and Ray puts another in its place")
            os._exit(1)


def soft_labels(pairs: pa.Table, logits_ML: np.ndarray, teacher: str) -> pa.Table:
    """Tokenised pairs as rows of SOFT_LABELS; logits_ML (float32): those of the pairs with tokens, in their order."""
    logits_NL = np.full((pairs.num_rows, NUM_LEVELS), np.nan, dtype=np.float32)
    known_N = pc.is_valid(pairs.column("logits")).to_numpy()
    logits_NL[known_N] = logits_of(pairs.filter(pa.array(known_N)))
    logits_NL[~known_N] = logits_ML
    lengths = pc.list_value_length(pairs.column("token_ids")).cast(pa.int32())
    columns = {
        "logits": pa.FixedSizeListArray.from_arrays(pa.array(logits_NL.reshape(-1)), NUM_LEVELS),
        "num_tokens": pc.coalesce(pairs.column("num_tokens"), lengths),
        "teacher": pa.repeat(teacher, pairs.num_rows),
    }
    chosen = [columns[name] if name in columns else pairs.column(name) for name in SOFT_LABELS.schema.names]
    return pa.table(chosen, schema=SOFT_LABELS.schema)


def poisonous(refused: Mapping[int, str]) -> list[Fault]:
    """The rows on which the engine failed, by what it said."""
    mend = "Look at the pair's texts; grade it with another engine, or leave it out."
    reasons = sorted(set(refused.values()))
    rows_of = {said: sorted(row for row, reason in refused.items() if reason == said) for said in reasons}
    return [Fault("pair_key", said, mend, np.asarray(rows, dtype=np.int64)) for said, rows in rows_of.items()]


def not_finite(logits_NL: np.ndarray, leave_out: Sequence[int] = ()) -> list[Fault]:
    """The rows whose logits hold a NaN or an infinity, but for those that are left out."""
    broken_N = ~np.isfinite(logits_NL).all(axis=1)
    broken_N[list(leave_out)] = False
    return fault("logits", "are not finite", "Grade in float32, or look at the teacher's weights.", broken_N)


def _open(job: Job) -> Engine:
    engine = job.opening.engine(job.teacher, job.engine)
    if engine.card.version != job.grading.teacher:
        raise ModelError(
            f"{job.teacher}: holds teacher {engine.card.version} here, the job was started with {job.grading.teacher}. "
            "Put the same folder on every node, and leave it alone while a job runs."
        )
    if job.probe is not None:
        refuse_other_grades(engine, f"{job.engine.name} {job.engine.dtype}", job.probe)
    return engine


def _stream(job: Job, todo: Todo, workers: WorkerSettings) -> Dataset:
    actors = Actors(
        workers.concurrency,
        workers.engine_cpus,
        workers.engine_gpus,
        workers.engine_threads,
        calls=job.engine.in_flight + 1,  # one more is written while the others are graded
        accelerator_type=workers.accelerator_type,
        resources=workers.resources,
    )
    return two_stages(todo, Tasks(tokenise, workers.tokenise_cpus, SHARDS_PER_TASK), Grader, actors, job)


@lru_cache(maxsize=1)
def _tokenizer(opening: Callable[[str], Tokenizer], folder: str, version: str) -> Tokenizer:
    return opening(folder)  # the version is there for the cache: a worker may outlive the teacher in a folder


def prompts_of(pairs: pa.Table) -> list[Prompt]:
    """The prompts of pairs that all have tokens."""
    return list(map(Prompt, pairs.column("token_ids").to_pylist(), pairs.column("second_start").to_pylist()))
