"""What the teacher is made of and how it is trained; read by every job, so torch stays out of here."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pinrank.precision import Precision
from pinrank.teacher.families import Pooling
from pinrank.text import TextSettings

Activation = Literal["gelu", "tanh", "relu"]
Targets = Literal["level", "annotators", "relevance"]
Loss = Literal["cross_entropy", "emd2"]


class HeadSettings(BaseModel):
    """The MLP between the pooled vector and the five logits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: tuple[int, ...] = Field((384,), description="widths of the hidden layers; at least one")
    activation: Activation = Field("gelu", description="between the layers of the head")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of hidden units left out in a training step")


class LoraSettings(BaseModel):
    """Adapters on all linear layers (LoRA, Hu et al. 2021), over 4-bit weights (QLoRA, Dettmers et al. 2023)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(16, ge=1, description="of the adapter's matrices")
    alpha: float = Field(32, gt=0, description="the adapter's output is scaled by alpha / rank")
    dropout: float = Field(0.05, ge=0, lt=1, description="share of the adapter's inputs left out in a training step")
    quantise: bool = Field(True, description="hold the backbone in NF4 with double quantisation (QLoRA)")


class TeacherSettings(BaseModel):
    """Backbone, head, text and optimisation of a teacher."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["trained", "judge"] = Field(
        "trained", description="judge: a generative model grades by a written guideline; trains nothing (docs/judge.md)"
    )
    backbone: str = Field("all-MiniLM-L6-v2", description="packaged name, local folder, or Hugging Face id@revision")
    allow_auto_map: bool = Field(
        False, description="open a backbone whose config names code of its own; it is not run, transformers' class is"
    )
    pooling: Pooling | None = Field(None, description="null: what suits the backbone's family")
    head: HeadSettings = HeadSettings()
    text: TextSettings = TextSettings()
    lora: LoraSettings | None = Field(None, description="train adapters and the head only; null: all weights")
    backbone_dropout: float | None = Field(
        None, ge=0, lt=1, description="inside the backbone while it trains; null: its own. 0 is a third faster on CPUs"
    )

    targets: Targets = Field(
        "annotators", description="level | annotators (their distribution) | relevance (a bell around a finer grade)"
    )
    loss: Loss = Field("cross_entropy", description="cross_entropy | emd2 (squared earth mover's distance, ordinal)")
    class_weighting: float = Field(
        0.0, ge=0, le=1, description="0: none; 1: rare levels weigh as much as frequent ones together"
    )
    source_balance: float = Field(
        0.0, ge=0, le=1, description="0: sources are drawn by their size; 1: each as often as any other"
    )

    epochs: int = Field(2, ge=1, description="passes over the judgments")
    weak_epochs: int = Field(1, ge=0, description="over weakly graded pairs, where there are any, before the judged")
    weak_learning_rate: float = Field(2e-4, gt=0, description="learning_rate of those epochs")
    patience: int | None = Field(None, ge=1, description="stop after so many epochs without a better dev_spearman")
    batch_size: int = Field(32, ge=1, description="pairs a worker sees in one forward pass")
    accumulation: int = Field(1, ge=1, description="forward passes whose gradients make one step")
    learning_rate: float = Field(1e-4, gt=0, description="of the backbone's last layer, or of the adapters")
    layer_decay: float = Field(1.0, gt=0, le=1, description="each layer's rate is this share of the one above")
    head_learning_rate: float = Field(1e-3, gt=0, description="of the head, at its peak")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    warmup_share: float = Field(0.06, ge=0, lt=1, description="share of all steps in which the rates rise")
    largest_gradient: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    gradient_checkpointing: bool = Field(False, description="recompute activations: less memory, a third more time")
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
    cpus_per_worker: int = Field(2, ge=1, description="CPUs that Ray sets aside for a worker, and its threads")
    use_gpu: bool = Field(False, description="a GPU for each worker")
    retries: int = Field(2, ge=0, description="lost workers that a run survives, from its last checkpoint")
    seed: int = Field(0, description="of every random choice")

    @model_validator(mode="after")
    def _balances_with_what_it_says(self) -> "TeacherSettings":
        if self.lora and self.layer_decay != 1.0:
            raise ValueError("layer_decay is for a backbone that is trained whole; with lora leave it at 1")
        return self
