"""What the teacher is made of and how it is trained."""

from pydantic import BaseModel, ConfigDict, Field

from pinrank.precision import Precision
from pinrank.teacher.model import HeadSettings, Pooling
from pinrank.text import TextSettings


class TeacherSettings(BaseModel):
    """Backbone, head, text and optimisation of a teacher."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = Field("all-MiniLM-L6-v2", description="packaged name, local folder or Hugging Face id")
    pooling: Pooling | None = Field(None, description="null: what suits the backbone's family")
    head: HeadSettings = HeadSettings()
    text: TextSettings = TextSettings()
    backbone_dropout: float | None = Field(
        None, ge=0, lt=1, description="inside the backbone while it trains; null: its own. 0 is a third faster on CPUs"
    )
    epochs: int = Field(2, ge=1)
    batch_size: int = Field(32, ge=1, description="pairs a worker sees in one step")
    learning_rate: float = Field(1e-4, gt=0, description="of the backbone")
    head_learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_share: float = Field(0.06, ge=0, lt=1, description="share of all steps in which the rates rise")
    largest_gradient: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    precision: Precision = "auto"
    num_workers: int = Field(1, ge=1, description="Ray Train workers; gradients are averaged over them")
    cpus_per_worker: int = Field(2, ge=1, description="CPUs that Ray sets aside for a worker, and its threads")
    use_gpu: bool = False
    seed: int = 0
