"""Grading pairs with a teacher against the clock, in a Ray task of its own.

The task's process ends with it, so that what an engine held of an accelerator's memory is free for the next row. Needs
a Ray session, and on several machines a folder that all of them see.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pinrank.cluster import in_a_task
from pinrank.distinct import distinct
from pinrank.teacher.score import EngineSettings, Logits, open_engine, open_tokenizer

Texts = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class TimedGrading:
    """Raw logits_NL (float32, in the order given), and how fast distinct pairs were tokenised and graded."""

    logits_NL: Logits
    pairs_per_s: float


def grade_apart(folder: str, texts: Texts, engine: EngineSettings, num_cpus: int, use_gpu: bool) -> TimedGrading:
    """Grade (query, packed pin) texts in a process of its own; ModelError when the folder holds no teacher."""
    return in_a_task(grade_timed, folder, list(texts), engine, num_cpus=num_cpus, num_gpus=int(use_gpu), max_calls=1)


def grade_timed(folder: str, texts: Texts, engine: EngineSettings) -> TimedGrading:
    """Grade in this process. Opening the model and a first batch are not part of the time."""
    opened, tokenizer = open_engine(folder, engine), open_tokenizer(folder)
    once, which_N = distinct(texts)
    opened.grade(tokenizer.prompts(once[: engine.batch_size]))
    started = time.perf_counter()
    logits_UL = opened.grade(tokenizer.prompts(once))
    seconds = time.perf_counter() - started
    return TimedGrading(logits_UL[which_N], len(once) / seconds)
