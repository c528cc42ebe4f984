"""Before a job's first row: the engine that was chosen grades a few of its pairs as the reference does, or nothing is
graded at all.

The reference is transformers in float32 on a CPU. Letters: N pairs of the probe, L = 5 levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pinrank.errors import ParityError
from pinrank.levels import probabilities
from pinrank.shard_work import Work
from pinrank.teacher.engine import Engine, EngineSettings, Logits
from pinrank.teacher.score import open_engine, open_tokenizer
from pinrank.teacher.tokens import Prompt

TOLERANCE = {"float32": 0.001, "bfloat16": 0.1}
"""Of a probability, by dtype of the engine. bfloat16 has three digits, and a teacher twelve or more layers."""

FEWEST_SHARDS = 16
"""That a few pairs are taken from, where there are so many."""

REFERENCE = EngineSettings(name="transformers", dtype="float32", batch_size=16)


class ParitySettings(BaseModel):
    """How the engine is compared with the reference before the first row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs: int = Field(32, ge=0, description="pairs of the job that both grade; 0: no comparison")
    tolerance: float | None = Field(
        None, gt=0, le=1, description="largest difference of a probability; null: 0.001 in float32, 0.1 in bfloat16"
    )


@dataclass(frozen=True)
class Probe:
    """Prompts of the job, what the reference says of them, and how far an engine may be from it."""

    prompts: tuple[Prompt, ...]
    reference_NL: Logits
    tolerance: float


def needs_probe(kind: str, engine: EngineSettings, settings: ParitySettings) -> bool:
    """Whether there is anything to compare: not where the engine is the reference itself.

    A judge is left out: its prompts carry its guideline, which takes a CPU minutes.
    """
    is_reference = (engine.name, engine.dtype) == (REFERENCE.name, REFERENCE.dtype)
    return bool(settings.pairs) and kind != "judge" and not is_reference


def pairs_to_grade(work: Work, most: int) -> list[tuple[str, str]]:
    """At most so many (query, pin text) whose grade is not known, from shards that lie evenly through the work.

    Where these hold none, from the first of the others that does: none are found only where every grade is known.
    """
    found: list[tuple[str, str]] = []
    rows_per_shard = work.shards[0].stop
    num_shards = min(len(work.shards), max(FEWEST_SHARDS, -(-most // rows_per_shard)), most)
    spread = np.linspace(0, len(work.shards) - 1, num_shards).astype(int).tolist()
    for number in (*spread, *(other for other in range(len(work.shards)) if other not in spread)):
        if found and number not in spread:
            break
        rows = work.rows(number)
        unknown = rows.filter(rows.column("logits").is_null())
        wanted = -(-most // num_shards)
        places = np.unique(np.linspace(0, unknown.num_rows - 1, min(wanted, unknown.num_rows)).astype(int))
        some = unknown.take(pa.array(places, pa.int64()))
        found += zip(some.column("query").to_pylist(), some.column("pin_text").to_pylist(), strict=True)
    return found[:most]


def probe_of(teacher: str, pairs: Sequence[tuple[str, str]], dtype: str, settings: ParitySettings) -> Probe:
    """Let the reference grade the pairs."""
    prompts = tuple(open_tokenizer(teacher).prompts(pairs))
    return Probe(prompts, open_engine(teacher, REFERENCE).grade(prompts), settings.tolerance or TOLERANCE[dtype])


def refuse_other_grades(engine: Engine, name: str, probe: Probe) -> None:
    """Raise ParityError when an engine is further from the reference than the probe tolerates; `name` says which."""
    difference_N = np.abs(probabilities(engine.grade(probe.prompts)) - probabilities(probe.reference_NL)).max(axis=1)
    if np.isfinite(difference_N).all() and difference_N.max() <= probe.tolerance:
        return
    raise ParityError(
        f"{engine.card.version}: {name} differs from transformers float32 by {difference_N.max():.2g} in a probability "
        f"(mean over pairs {difference_N.mean():.2g}, {(difference_N > probe.tolerance).sum()} of {len(difference_N)} "
        f"pairs beyond the tolerance of {probe.tolerance:g}). Use --engine.dtype float32 or --engine.name "
        "transformers, check the vllm version, or allow it with --parity.tolerance."
    )
