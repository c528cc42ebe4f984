"""A training run of a teacher, as the driver hands it to every worker."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pinrank.teacher.families import Pooling
from pinrank.teacher.settings import TeacherSettings
from pinrank.tracking import Tracked

PUBLISHED = "teacher"
"""The folder in the run's own that holds the finished teacher."""


class TrainingRun(BaseModel):
    """What the driver hands to every worker. The folder must be one that all nodes see."""

    model_config = ConfigDict(frozen=True)

    name: str
    settings: TeacherSettings
    pooling: Pooling
    examples: Path
    folder: Path
    lineage: dict[str, Any]
    tracked: Tracked | None = None
