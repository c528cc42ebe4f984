"""Which engaged pairs the search embedding learns from, what it is made of and how it is trained."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pinrank.engagement.settings import ActionWeights
from pinrank.precision import Precision
from pinrank.text import FieldBudgets, TextSettings


class PairSettings(BaseModel):
    """Which (query, pin) pairs of a log are learnt from, and which are kept to measure recall on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: ActionWeights = Field(
        ActionWeights(), description="what a person's strongest action says; 0 leaves an action out"
    )
    min_users: int = Field(2, ge=1, description="distinct people without whom a pair is left out")
    max_weight: float = Field(10.0, gt=0, description="a pair weighs this at most, or one would drown its batch")
    max_pairs: int | None = Field(None, ge=1, description="learn from so many pairs, chosen by hash; null: all")
    held_out_share: float = Field(0.05, ge=0, lt=1, description="of the queries, by hash: only to measure recall on")
    max_held_out_queries: int = Field(2_000, ge=1, description="held-out queries that are measured")
    num_candidates: int = Field(
        10_000, ge=1, description="pins among which the engaged ones are to be found, in addition to these"
    )
    recall_at: tuple[int, ...] = Field((10, 100), min_length=1, description="ks; the first one chooses the epoch")

    @field_validator("recall_at")
    @classmethod
    def _positive(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        if min(ks) < 1:
            raise ValueError("must be numbers from 1 on")
        return ks


class SearchEmbeddingSettings(BaseModel):
    """What the towers are and how they are trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = Field("all-MiniLM-L6-v2", description="of the towers: packaged name, local folder or model id")
    shared: bool = Field(True, description="one tower reads queries and pins; false: two, from the same backbone")
    output_dim: int | None = Field(None, ge=1, description="width of a vector; null: the backbone's own")
    text: TextSettings = Field(
        TextSettings(max_query_tokens=32, max_tokens=96, budgets=FieldBudgets(query_tokens=0)),
        description="what the towers read; a pin gets max_tokens - max_query_tokens tokens",
    )
    temperature: float = Field(0.05, gt=0, description="a cosine is divided by it to be a logit")
    correct_popularity: bool = Field(True, description="subtract the log of a pin's share of the pairs from its logit")
    backbone_dropout: float | None = Field(None, ge=0, lt=1, description="inside the backbone; null: its own")
    epochs: int = Field(2, ge=1, description="passes over the pairs")
    batch_size: int = Field(128, ge=2, description="pairs of a worker's step, each a negative of the others")
    learning_rate: float = Field(5e-5, gt=0, description="of the backbone")
    projection_learning_rate: float = Field(
        1e-3, gt=0, description="of the projection to output_dim, where there is one"
    )
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    warmup_share: float = Field(0.06, ge=0, lt=1, description="share of all steps in which the rates rise")
    largest_gradient: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    precision: Precision = Field(
        "auto",
        description="numbers of the forward passes: auto is bfloat16 where the device is fast at it, else float32",
    )
    checkpoint_every_steps: int | None = Field(None, ge=1, description="null: at the end of every epoch alone")
    num_workers: int = Field(1, ge=1, description="Ray Train workers; gradients are averaged over them")
    cpus_per_worker: int = Field(1, ge=1, description="CPUs that Ray sets aside for a worker")
    threads_per_worker: int = Field(2, ge=1, description="threads of a worker's matrix products on a CPU")
    use_gpu: bool = Field(False, description="a GPU for each worker")
    retries: int = Field(0, ge=0, description="restarts after a lost worker, each from the last checkpoint")
    seed: int = Field(0, description="of every random choice")

    @field_validator("text")
    @classmethod
    def _does_not_read_the_answer(cls, text: TextSettings) -> TextSettings:
        if text.budgets.query_tokens:
            raise ValueError(
                "budgets.query_tokens must be 0: these are words of the very queries that are learnt and measured"
            )
        return text
