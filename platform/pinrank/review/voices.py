"""What the teacher and the student say of the pairs that could be reviewed.

A grade that is on disk is read; a model is run for the others alone, and only where its folder is given.
Shape letters: P pairs, L = 5 levels.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pinrank import tables
from pinrank.annotators.ratings import Floats, Integers
from pinrank.errors import ModelError, TableError
from pinrank.levels import NUM_LEVELS, expected_level, probabilities
from pinrank.soft_labels import logits_of, unusable_labels
from pinrank.soft_labels import read_labels as soft_labels_of
from pinrank.student.export import open_student
from pinrank.student.feature_tables import tables_of
from pinrank.teacher.card import read_card
from pinrank.teacher.score import EngineSettings, grade_pairs
from pinrank.text import packed

log = logging.getLogger(__name__)

Pairs = list[tuple[str, dict[str, str]]]
"""A query and the row of pin_text, each."""


class VoiceSettings(BaseModel):
    """Where a model's grades come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: str | None = Field(None, description="its grades in the form of soft_labels; none of them is made again")
    model: Path | None = Field(
        None, description="its folder, to grade the pairs that labels lack; null: it keeps silent"
    )


@dataclass(frozen=True)
class Voice:
    """A model's say: probabilities_PL, nan in the rows of which it says nothing."""

    name: str
    version: str | None  # None where it says nothing at all
    probabilities_PL: Floats
    num_graded_now: int

    @property
    def expected_levels(self) -> Floats:
        """float64[P] in 1..5; nan where it says nothing."""
        return expected_level(self.probabilities_PL)


def read_labels(settings: VoiceSettings, name: str, pin_text: pa.Table, quarantine: str) -> pa.Table:
    """The usable rows of a model's grades (SOFT_LABELS, empty without any); the others go to quarantine.

    Raises TableError when they are of several versions.
    """
    if settings.labels is None:
        return tables.SOFT_LABELS.schema.empty_table()
    labels = soft_labels_of(settings.labels)
    found = unusable_labels(labels, pin_text)
    kept = tables.quarantine(labels, found, quarantine, f"{name}_labels", settings.labels)
    if len(versions := sorted(set(kept.column("teacher").to_pylist()))) > 1:
        raise TableError(f"{settings.labels}: holds grades of {', '.join(versions)}; name the grades of one version.")
    return kept


def teacher_voice(
    settings: VoiceSettings, labels: pa.Table, pairs: pa.Table, texts: Pairs, engine: EngineSettings
) -> Voice:
    """The teacher's calibrated say; without its folder nothing is known of its calibration, and the softmax stands.

    Raises ModelError when the folder holds no teacher, or another version than the labels are of.
    """
    if settings.model is None:
        return _voice("teacher", labels, pairs, None, lambda rows: np.zeros((0, NUM_LEVELS)))
    folder = str(settings.model)
    card = read_card(folder)

    def grade(rows: Integers) -> Floats:
        chosen = [texts[row] for row in rows]
        return np.asarray(grade_pairs(folder, [(query, packed(pin, card.text)) for query, pin in chosen], engine))

    locales_P = np.asarray([locale or "" for locale in pairs.column("query_locale").to_pylist()], dtype=np.str_)

    def calibrated(logits_PL: Floats) -> Floats:
        return card.calibration.calibrated(logits_PL, locales_P)

    return _voice("teacher", labels, pairs, card.version, grade, calibrated)


def student_voice(
    settings: VoiceSettings, labels: pa.Table, pairs: pa.Table, texts: Pairs, tables_folder: str
) -> Voice:
    """The student's say; ModelError when its folder holds none, or another version than the labels are of."""
    if settings.model is None:
        return _voice("student", labels, pairs, None, lambda rows: np.zeros((0, NUM_LEVELS)))
    student = open_student(settings.model)

    def grade(rows: Integers) -> Floats:
        told = student.with_tables(tables_of(student.spec, tables_folder))
        locales = pairs.column("query_locale").take(pa.array(rows)).to_pylist()
        return np.asarray(told.grade([texts[row] for row in rows], locales=locales))

    return _voice("student", labels, pairs, student.version, grade, student.calibration.calibrated)


def _voice(
    name: str,
    labels: pa.Table,
    pairs: pa.Table,
    version: str | None,
    grade: Callable[[Integers], Floats],
    calibrated: Callable[[Floats], Floats] = np.asarray,
) -> Voice:
    of_labels = labels.column("teacher")[0].as_py() if labels.num_rows else None
    if version and of_labels and version != of_labels:
        raise ModelError(
            f"the {name}'s labels are of {of_labels}, its folder holds {version}. Name the folder that made them, or "
            "leave one of the two out."
        )
    row_of = {key: row for row, key in enumerate(labels.column("pair_key").to_pylist())}
    known_P = np.asarray([row_of.get(key, -1) for key in pairs.column("pair_key").to_pylist()], dtype=np.int64)
    logits_PL = np.full((pairs.num_rows, NUM_LEVELS), np.nan)
    logits_PL[known_P >= 0] = logits_of(labels)[known_P[known_P >= 0]]
    missing = np.flatnonzero(known_P < 0) if version else np.zeros(0, dtype=np.int64)
    if len(missing):
        log.info("the %s grades %d of %d pairs; the others are graded already", name, len(missing), pairs.num_rows)
        logits_PL[missing] = grade(missing)
    return Voice(name, version or of_labels, probabilities(calibrated(logits_PL)), len(missing))
