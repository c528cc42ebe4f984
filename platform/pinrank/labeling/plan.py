"""What a job will take, before anything is spent: the pairs that are left, the speed of one engine, hours and dollars.

hours = pairs / (pairs/s of an engine · engines) + its start; dollars = hours · Σ nodes · dollars per hour of their type
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinrank.errors import SettingsError
from pinrank.labeling.job import Job
from pinrank.parquet import one_line
from pinrank.shard_work import Work

WARM_UP = 64
"""Pairs that are graded before the clock starts: an engine's first batches compile, and fill caches."""


class EstimateSettings(BaseModel):
    """What `plan` reckons with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs: int = Field(500, ge=1, description="pairs of the job that are graded to measure the engine")
    cluster_file: Path = Field(Path("cluster.yaml"), description="Ray's launcher file: node types and how many of each")
    node_type: str = Field("l40s", description="of that file: the nodes that engines run on")
    engines_per_node: int = Field(1, ge=1, description="engine actors that fit a node")
    dollars_per_hour: dict[str, float] = Field({}, description="price of a node, by node type; the file has none")


class NodeType(BaseModel):
    """What of a node type in a launcher file matters here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    max_workers: int = 0
    node_config: dict[str, Any] = {}


class Cluster(BaseModel):
    """What of a launcher file matters here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    available_node_types: dict[str, NodeType]
    head_node_type: str


@dataclass(frozen=True)
class Speed:
    """What one engine did with a few pairs of the job."""

    pairs: int
    pairs_per_s: float
    tokens_per_pair: float
    tokenised_per_s: float
    start_s: float


@dataclass(frozen=True)
class Plan:
    """What a job will take; dollars is None where a price is not known."""

    pairs: int
    engines: int
    nodes: dict[str, int]
    hours: float
    tokenising_cpus: float
    dollars: float | None
    unpriced: tuple[str, ...]

    def __str__(self) -> str:
        nodes = ", ".join(f"{number} {name}" for name, number in self.nodes.items())
        missing = ", ".join(self.unpriced)
        cost = f"{self.dollars:,.2f} dollars" if self.dollars is not None else f"cost unknown, for want of {missing}"
        return (
            f"{self.pairs:,} pairs to grade on {self.engines} engines ({nodes}): {self.hours:,.2f} hours, {cost}; "
            f"tokenising keeps {self.tokenising_cpus:.1f} CPUs busy"
        )


def pairs_left(work: Work, done: set[str]) -> int:
    """Pairs whose grade is not known, in the shards that are not done."""
    left = [number for number, shard in enumerate(work.shards) if shard.name not in done]
    return sum(work.rows(number).column("logits").null_count for number in left)


def measure(job: Job, pairs: list[tuple[str, str]]) -> Speed:
    """Open the engine in this process and time it on some pairs, after a few of them to warm up."""
    started = time.perf_counter()
    engine = job.opening.engine(job.teacher, job.engine)
    start_s = time.perf_counter() - started
    tokenizer = job.opening.tokenizer(job.teacher)
    tokenizer.prompts(pairs[:WARM_UP])
    tokenised_s, prompts = _timed(lambda: tokenizer.prompts(pairs))
    engine.grade(prompts[:WARM_UP])
    graded_s, _ = _timed(lambda: engine.grade(prompts))
    tokens = sum(len(prompt.token_ids) for prompt in prompts)
    return Speed(len(pairs), len(pairs) / graded_s, tokens / len(pairs), len(pairs) / tokenised_s, start_s)


def plan_of(pairs: int, speed: Speed, most_engines: int, settings: EstimateSettings) -> Plan:
    """Hours and dollars for so many pairs. Raises SettingsError when the launcher file lacks the node type."""
    cluster = read_cluster(settings)
    fits = cluster.available_node_types[settings.node_type].max_workers * settings.engines_per_node
    engines = min(most_engines, fits)
    nodes = {cluster.head_node_type: 1, settings.node_type: -(-engines // settings.engines_per_node)}
    rate = speed.pairs_per_s * engines
    hours = (pairs / rate + speed.start_s) / 3600 if pairs else 0.0
    dollars, unpriced = _dollars(hours, nodes, settings.dollars_per_hour)
    return Plan(pairs, engines, nodes, hours, rate / speed.tokenised_per_s, dollars, unpriced)


def read_cluster(settings: EstimateSettings) -> Cluster:
    """The node types of a launcher file; SettingsError when it cannot be read, or lacks the one that is asked for."""
    path = settings.cluster_file
    try:
        cluster = Cluster.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as cause:
        raise SettingsError(f"{path}: cannot be read: {cause.strerror}. Name one: --estimate.cluster_file.") from cause
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as cause:
        raise SettingsError(f"{path}: no launcher file of Ray: {one_line(cause)}.") from cause
    known = cluster.available_node_types
    if settings.node_type not in known or not known[settings.node_type].max_workers:
        raise SettingsError(
            f"{path}: has no workers of type {settings.node_type}, but of {', '.join(sorted(known))}. Choose with "
            "--estimate.node_type."
        )
    return cluster


def _timed(work: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _dollars(
    hours: float, nodes: Mapping[str, int], prices: Mapping[str, float]
) -> tuple[float | None, tuple[str, ...]]:
    unpriced = tuple(f"--estimate.dollars_per_hour of {name}" for name in nodes if name not in prices)
    if unpriced:
        return None, unpriced
    return hours * sum(number * prices[name] for name, number in nodes.items()), ()
