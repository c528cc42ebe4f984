"""Grading the same pairs with every system: the baselines, the teacher and the student."""

import logging
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pinrank.distinct import distinct
from pinrank.evaluation.baselines import bm25, fit_collections, fit_levels, frozen_cosine, search_cosine
from pinrank.evaluation.judged import Floats, Graded, from_logits, from_scores
from pinrank.evaluation.task import Task
from pinrank.precision import Precision
from pinrank.search_embedding.export import read_card as read_search_card
from pinrank.student.export import CUT, open_student
from pinrank.student.export import read_card as read_student_card
from pinrank.student.feature_tables import tables_of
from pinrank.student.remembered import remembering
from pinrank.teacher.card import read_card
from pinrank.teacher.score import EngineSettings, grade_pairs
from pinrank.text import TextSettings, packed

log = logging.getLogger(__name__)

NO_DEV = (
    "accuracy and qwk are null: a score becomes a level by a regression on dev judgments, and there are none. Give a "
    "run's tables with a dev split (--tables RUN/tables)."
)


class FrozenSettings(BaseModel):
    """The frozen bi-encoder that serves as a baseline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = Field("all-MiniLM-L6-v2", description="a packaged backbone, a folder or a Hugging Face id")
    text: TextSettings = TextSettings()
    precision: Precision = Field("auto", description="bfloat16 moved its Spearman by less than 0.002 on any source")


@dataclass
class Systems:
    """What each system says of the pairs, and what a reader must know about it."""

    graded: dict[str, Graded] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def model_versions(teacher: str | None, student: str | None, search_embedding: str | None = None) -> dict[str, str]:
    """The versions of the models that are to be measured; ModelError when a folder holds none."""
    versions = {"search embedding": read_search_card(search_embedding).version} if search_embedding else {}
    versions |= {"teacher": read_card(teacher).version} if teacher else {}
    return versions | ({"student": read_student_card(student).version} if student else {})


def grade_baselines(
    task: Task, dev: Task | None, frozen: FrozenSettings, search_embedding: str | None = None
) -> Systems:
    """BM25, the frozen bi-encoder and, where its folder is given, the search embedding on the task's pairs.

    dev, where given, teaches them levels.
    """
    log.info("baselines: %d pairs, %d dev pairs for their levels", len(task.pairs), len(dev.pairs) if dev else 0)
    systems = Systems()
    dev_pairs = dev.pairs if dev else []
    both = [*task.pairs, *dev_pairs]
    cosines = {"frozen": frozen_cosine(both, frozen.backbone, frozen.text, frozen.precision)}
    if search_embedding:
        cosines["search embedding"] = search_cosine(both, search_embedding, frozen.precision)
    split = {name: (found_N[: len(task.pairs)], found_N[len(task.pairs) :]) for name, found_N in cosines.items()}
    scores = {"bm25": _bm25(task, dev), **split}
    for name, (scores_N, dev_scores) in scores.items():
        systems.graded[name] = _with_levels(task, scores_N, dev, dev_scores)
        if dev is None:
            systems.notes[name] = NO_DEV
    return systems


def grade_teacher(task: Task, folder: str, engine: EngineSettings, systems: Systems) -> None:
    """Add the teacher; ModelError when the folder holds none."""
    log.info("teacher: %d pairs", len(task.pairs))
    card = read_card(folder)
    texts = [(query, packed(pin, card.text)) for query, pin in task.pairs]
    once, which_N = distinct(texts)
    logits_NL = grade_pairs(folder, once, engine)[which_N]
    systems.graded["teacher"] = from_logits(logits_NL, card.calibration.calibrated(logits_NL, task.judged.locales_N))


def grade_student(task: Task, folder: str, systems: Systems, tables: str | None = None) -> None:
    """Add the student, and cut to each width that it was trained for, as student:WIDTH; ModelError when the folder
    holds none. tables: the folder of its features beside the texts."""
    log.info("student: %d pairs", len(task.pairs))
    student = open_student(folder)
    whole = remembering(student.with_tables(tables_of(student.spec, tables)))
    for name, told in {"student": whole, **{f"student{CUT}{dim}": whole.cut(dim) for dim in student.card.dims}}.items():
        logits_NL = told.grade(task.pairs, locales=task.judged.locales_N.tolist())
        systems.graded[name] = from_logits(logits_NL, told.calibration.calibrated(logits_NL))


def _bm25(task: Task, dev: Task | None) -> tuple[Floats, Floats]:
    collections = fit_collections(task.catalogue, task.pin_sources)
    scores_N = bm25(task.pairs, collections)
    if dev is None:
        return scores_N, np.zeros(0)
    if dev.catalogue is not task.catalogue or not dev.pin_sources <= task.pin_sources:
        collections = fit_collections(dev.catalogue, dev.pin_sources)
    return scores_N, bm25(dev.pairs, collections)


def _with_levels(task: Task, scores_N: Floats, dev: Task | None, dev_scores: Floats) -> Graded:
    if dev is None:
        return from_scores(scores_N, None)
    cuts = fit_levels(dev_scores, dev.judged.levels_N, dev.judged.sources_N)
    return from_scores(scores_N, cuts.levels(scores_N, task.judged.sources_N))
