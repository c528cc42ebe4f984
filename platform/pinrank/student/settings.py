"""What the student is made of and how it is trained; read by every job, so torch stays out of here."""

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pinrank.precision import Precision
from pinrank.teacher.families import Pooling
from pinrank.text import TextSettings


class TowerSettings(BaseModel):
    """How texts become vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shared: bool = Field(True, description="one tower reads queries and pins; false: two, from the same backbone")
    pooling: Pooling = Field("mean", description="mean | first | last: what of the tokens' vectors is the text's")
    output_dim: int | None = Field(None, ge=1, description="width of a vector; null: the backbone's own")
    dims: tuple[int, ...] = Field(
        (), description="smaller widths, say 64 and 128, at which the start of a vector must grade as well (Matryoshka)"
    )

    @field_validator("dims")
    @classmethod
    def _ascending(cls, dims: tuple[int, ...]) -> tuple[int, ...]:
        if list(dims) != sorted(set(dims)) or (dims and dims[0] < 1):
            raise ValueError("must be numbers from 1 on, in ascending order, each once")
        return dims


class RankerSettings(BaseModel):
    """The MLP over query vector, pin vector, their product and the features."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: tuple[int, ...] = Field((128, 64), min_length=1, description="widths; the first is stored for every pin")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of hidden units left out in a training step")


class RetrievalSettings(BaseModel):
    """A second objective: queries find, among the pins of a batch, the one that people engaged with after them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(0.0, ge=0, description="of this loss beside the teacher's; 0 leaves it out")
    batch_size: int = Field(128, ge=2, description="engaged pairs of a worker's step, each a negative of the others")
    temperature: float = Field(0.05, gt=0, description="a cosine is divided by it to be a logit")
    correct_popularity: bool = Field(True, description="subtract the log of a pin's share of the pairs from its logit")


class StudentSettings(BaseModel):
    """What the student is made of and how it is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = Field(
        "all-MiniLM-L6-v2",
        description="of the towers: packaged name, folder (a student's too), model id, or hashed/65536 for none",
    )
    text: TextSettings = Field(
        TextSettings(max_query_tokens=32, max_tokens=96),
        description="what the towers read; a pin gets max_tokens - max_query_tokens tokens",
    )
    tower: TowerSettings = TowerSettings()
    frozen_towers: bool = Field(
        False, description="the backbone stays as it is: texts become vectors once, and the MLP alone learns"
    )
    ranker: RankerSettings = RankerSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    backbone_dropout: float | None = Field(
        None, ge=0, lt=1, description="inside the backbone while it trains; null: its own. 0 is a third faster on CPUs"
    )
    epochs: int = Field(2, ge=1, description="passes over labels and judgments")
    batch_size: int = Field(64, ge=1, description="pairs a worker sees in one step")
    encoder_learning_rate: float = Field(5e-5, gt=0, description="of the towers, at its peak")
    ranker_learning_rate: float = Field(1e-3, gt=0, description="of the MLP and the embedding tables, at its peak")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    warmup_share: float = Field(0.06, ge=0, lt=1, description="share of all steps in which the rates rise")
    largest_gradient: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    temperature: float = Field(1.0, gt=0, description="of teacher and student in the soft cross-entropy")
    kl_weight: float = Field(0.0, ge=0, description="weight of KL(teacher || student) at temperature 1 beside it")
    hard_weight: float = Field(0.0, ge=0, description="weight of cross-entropy with the most likely level beside it")
    importance_weights: bool = Field(
        False, description="a label weighs as many impressions as it stands for in the sample, not 1"
    )
    largest_importance: float = Field(10.0, ge=1, description="such a weight is cut at so many times their mean")
    human_weight: float = Field(0.5, ge=0, description="weight of a human row beside a teacher's 1; 0 leaves them out")
    precision: Precision = Field(
        "auto",
        description="numbers of the forward passes: auto is bfloat16 where the device is fast at it, else float32",
    )
    checkpoint_every_steps: int | None = Field(
        None, ge=1, description="steps between checkpoints within an epoch; null: after every epoch only"
    )
    num_workers: int = Field(
        1, ge=0, description="Ray Train workers; gradients are averaged over them. 0: the job's own process trains"
    )
    cpus_per_worker: int = Field(1, ge=1, description="CPUs that Ray sets aside for a worker")
    threads_per_worker: int = Field(2, ge=1, description="threads of a worker's matrix products on a CPU")
    use_gpu: bool = Field(False, description="a GPU for each worker")
    retries: int = Field(2, ge=0, description="lost workers that a run survives, from its last checkpoint")
    seed: int = Field(0, description="of every random choice")

    @model_validator(mode="after")
    def _has_towers_that_learn(self) -> "StudentSettings":
        if self.frozen_towers and self.retrieval.weight:
            raise ValueError("retrieval.weight is for towers that learn; set frozen_towers to false or the weight to 0")
        return self
