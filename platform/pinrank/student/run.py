"""A training run of a student, as the driver hands it to every worker."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pinrank.student.parts import Part
from pinrank.student.settings import StudentSettings
from pinrank.tracking import Tracked

PUBLISHED = "student"
"""The folder in the run's own that holds the finished student."""


class TrainingRun(BaseModel):
    """What the driver hands to every worker. The folder must be one that all nodes see."""

    model_config = ConfigDict(frozen=True)

    name: str
    settings: StudentSettings
    learning: tuple[Part, ...]
    dev: tuple[Part, ...]
    mean_weight: float = 1.0  # of the rows to learn from, by which the loss is divided
    engaged: Path | None = None
    folder: Path
    lineage: dict[str, Any]
    tracked: Tracked | None = None
