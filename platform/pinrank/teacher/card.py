"""What a teacher's folder says of itself. Jobs read it long before, or without, opening the model."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pinrank.model_card import open_card
from pinrank.teacher.calibration import Calibration
from pinrank.teacher.families import Pooling
from pinrank.teacher.frame import Frame
from pinrank.teacher.settings import HeadSettings
from pinrank.text import TextSettings


class TeacherCard(BaseModel):
    """What a teacher is: how it reads a pair, how it was made, how good it was on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(
        description="NAME@ the first 8 hex digits of the SHA-256 of the weights; of a judge, of all it grades by"
    )
    kind: Literal["trained", "judge"] = "trained"
    backbone: str
    pooling: Pooling | None = Field(None, description="of a trained teacher")
    head: HeadSettings | None = Field(None, description="of a trained teacher")
    frame: Frame | None = Field(None, description="of a judge")
    text: TextSettings
    calibration: Calibration = Calibration()
    metrics: dict[str, float]
    lineage: dict[str, Any]

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "TeacherCard":
        if self.kind == "trained" and (self.pooling is None or self.head is None):
            raise ValueError("a trained teacher has a pooling and a head")
        if self.kind == "judge" and self.frame is None:
            raise ValueError("a judge has a frame")
        return self


def read_card(folder: str) -> TeacherCard:
    """The card of a teacher's folder; ModelError when it is no teacher."""
    return open_card(folder, TeacherCard, "teacher", "train_teacher")
