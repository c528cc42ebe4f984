"""Fine-tuning the teacher on human levels with Ray Train.

Cross-entropy on the five levels; AdamW with one rate for the backbone and one for the head, linear warm-up, cosine
decay. The epoch whose dev ranking is best is published: the mean over sources of Spearman's correlation between
score and human grade, because a source with many pairs must not decide alone.
"""

import contextlib
import logging
import math
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray.train
import torch
from pydantic import BaseModel, ConfigDict, Field
from ray.train import Checkpoint, CheckpointConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, prepare_model
from ray.train.v2.api.exceptions import TrainingFailedError
from safetensors.torch import load_model, save_model
from scipy.stats import spearmanr
from torch import Tensor, nn

from pinrank.backbones import resolve
from pinrank.errors import ModelError
from pinrank.levels import most_likely_level, probabilities, score
from pinrank.teacher.batches import length_grouped, num_batches
from pinrank.teacher.examples import EXAMPLES
from pinrank.teacher.export import TeacherCard, publish
from pinrank.teacher.model import HeadSettings, Pooling, Teacher, open_backbone, pooling_of, uses_token_types
from pinrank.teacher.tokens import PairTokenizer, Prompt, padded
from pinrank.text import TextSettings

log = logging.getLogger(__name__)

WEIGHTS = "teacher.safetensors"
STEPS_BETWEEN_LOGS = 25
EVALUATION_BATCH = 128
LEAST_DEV_PAIRS = 50
"""A source with fewer dev pairs says too little to choose an epoch by."""


class TeacherSettings(BaseModel):
    """What the teacher is made of and how it is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str = Field("all-MiniLM-L6-v2", description="packaged name, local folder or Hugging Face id")
    pooling: Pooling | None = Field(None, description="None: what suits the backbone's family")
    head: HeadSettings = HeadSettings()
    text: TextSettings = TextSettings()
    epochs: int = Field(2, ge=1)
    batch_size: int = Field(32, ge=1, description="pairs a worker sees in one step")
    learning_rate: float = Field(5e-5, gt=0, description="of the backbone")
    head_learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_share: float = Field(0.06, ge=0, lt=1, description="share of all steps in which the rate rises")
    largest_gradient: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 on GPUs and on CPUs with AMX tiles, else float32"
    )
    num_workers: int = Field(1, ge=1, description="Ray Train workers; gradients are averaged over them")
    cpus_per_worker: int = Field(2, ge=1)
    use_gpu: bool = False
    seed: int = 0


def train(
    examples: pa.Table, settings: TeacherSettings, name: str, folder: str, lineage: dict[str, Any]
) -> TeacherCard:
    """Train on the rows whose split is train, choose the epoch on those of dev, publish to `folder`.

    `examples` has the columns of EXAMPLES. Needs a Ray session. Raises ModelError when training fails; nothing is
    published then.
    """
    pooling = settings.pooling or pooling_of(_model_type(settings.backbone))
    with tempfile.TemporaryDirectory(prefix="pinrank-teacher-") as work:
        pq.write_table(examples, f"{work}/examples.parquet")
        trainer = TorchTrainer(
            _train_worker,
            train_loop_config={
                "settings": settings.model_dump(),
                "pooling": pooling,
                "examples": f"{work}/examples.parquet",
            },
            scaling_config=ScalingConfig(
                num_workers=settings.num_workers,
                use_gpu=settings.use_gpu,
                resources_per_worker={"CPU": settings.cpus_per_worker},
            ),
            run_config=RunConfig(
                name="teacher",
                storage_path=work,
                checkpoint_config=CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="dev_spearman"),
            ),
        )
        try:
            result = trainer.fit()
        except TrainingFailedError as cause:
            raise ModelError(
                f"{folder}: training failed, nothing was published: {' '.join(str(cause).split())[:600]}"
            ) from cause
        best, metrics = max(result.best_checkpoints, key=lambda found: found[1]["dev_spearman"])
        teacher = Teacher(open_backbone(settings.backbone), pooling, settings.head)
        with best.as_directory() as checkpoint:
            load_model(teacher, str(Path(checkpoint) / WEIGHTS))
    card = {
        "backbone": settings.backbone,
        "pooling": pooling,
        "head": settings.head,
        "text": settings.text,
        "metrics": metrics,
        "lineage": lineage | {"training": settings.model_dump(mode="json")},
    }
    return publish(teacher, name, card, folder)


def mean_spearman(scores_N: np.ndarray, grades_N: np.ndarray, sources: np.ndarray) -> dict[str, float]:
    """Spearman of score and grade for each source with enough pairs, and their mean as dev_spearman."""
    found = {}
    for source in np.unique(sources):
        mask = sources == source
        if mask.sum() >= LEAST_DEV_PAIRS and len(np.unique(grades_N[mask])) > 1:
            found[f"dev_spearman_{source}"] = float(np.nan_to_num(spearmanr(scores_N[mask], grades_N[mask])[0]))
    mean = sum(found.values()) / len(found) if found else 0.0
    return {"dev_spearman": mean, **found}


def rate_at(step: int, steps: int, warmup_share: float) -> float:
    """Share of the full learning rate at a step: linear warm-up, then cosine decay to a twentieth."""
    warmup = max(1, round(steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def half_precision(precision: str, device: torch.device) -> bool:
    """Whether matrix products run in bfloat16: where the hardware multiplies it faster than float32."""
    if precision == "auto":
        return device.type == "cuda" or bool(torch.cpu._is_amx_tile_supported())
    return precision == "bfloat16"


def _train_worker(config: dict[str, Any]) -> None:
    logging.basicConfig(level=logging.INFO)
    settings = TeacherSettings.model_validate(config["settings"])
    context = ray.train.get_context()
    device = ray.train.torch.get_device()
    if device.type == "cpu":
        torch.set_num_threads(settings.cpus_per_worker)
    torch.manual_seed(settings.seed)
    examples = pq.read_table(config["examples"], schema=EXAMPLES)
    learning, dev = (_tokenised(examples.filter(pc.field("split") == split), settings) for split in ("train", "dev"))
    plain = Teacher(open_backbone(settings.backbone, attention="eager"), config["pooling"], settings.head)
    teacher = prepare_model(plain)
    optimizer = _optimizer(plain, settings)
    steps = settings.epochs * num_batches(len(learning.prompts), settings.batch_size, context.get_world_size())
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps, settings.warmup_share))
    autocast = torch.autocast(device.type, dtype=torch.bfloat16) if half_precision(settings.precision, device) else None
    step = 0
    for epoch in range(settings.epochs):
        teacher.train()
        lengths = [len(prompt.token_ids) for prompt in learning.prompts]
        seed = settings.seed * 1_000 + epoch
        for rows in length_grouped(
            lengths, settings.batch_size, seed, context.get_world_rank(), context.get_world_size()
        ):
            batch = {name: value.to(device) for name, value in learning.batch(rows, plain).items()}
            with autocast or contextlib.nullcontext():
                logits_NL = teacher(**batch)
            loss = nn.functional.cross_entropy(logits_NL, torch.as_tensor(learning.levels[rows] - 1, device=device))
            if not torch.isfinite(loss):
                raise ModelError(f"the loss is {loss.item()} at step {step}: lower --teacher.learning_rate")
            loss.backward()
            nn.utils.clip_grad_norm_(plain.parameters(), settings.largest_gradient)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad(set_to_none=True)
            if step % STEPS_BETWEEN_LOGS == 0 and context.get_world_rank() == 0:
                log.info("teacher step %d of %d, epoch %d, loss %.4f", step, steps, epoch + 1, loss.item())
            step += 1
        _report(plain, dev, device, autocast, epoch)


class _Tokenised:
    """One split, tokenised once."""

    def __init__(self, examples: pa.Table, prompts: list[Prompt], pad_id: int) -> None:
        self.prompts = prompts
        self.pad_id = pad_id
        self.levels = examples["level"].to_numpy().astype(np.int64)
        relevance = examples["relevance"].to_numpy().astype(np.float64)
        self.grades = np.where(np.isnan(relevance), (self.levels - 1) / 4, relevance)
        self.sources = np.asarray(examples["source"].to_pylist())

    def batch(self, rows: np.ndarray, teacher: Teacher) -> dict[str, Tensor]:
        return padded([self.prompts[row] for row in rows], self.pad_id, uses_token_types(teacher.backbone))


def _tokenised(examples: pa.Table, settings: TeacherSettings) -> _Tokenised:
    tokenizer = PairTokenizer.open(resolve(settings.backbone), settings.text)
    pairs = list(zip(examples["query"].to_pylist(), examples["text"].to_pylist(), strict=True))
    return _Tokenised(examples, tokenizer.prompts(pairs), tokenizer.tokenizer.pad_token_id or 0)


def _optimizer(teacher: Teacher, settings: TeacherSettings) -> torch.optim.Optimizer:
    groups = []
    for module, rate in ((teacher.backbone, settings.learning_rate), (teacher.head, settings.head_learning_rate)):
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        matrices = [weight for weight in weights if weight.dim() > 1]
        vectors = [weight for weight in weights if weight.dim() <= 1]  # biases and norms are not decayed
        groups += [
            {"params": matrices, "lr": rate, "weight_decay": settings.weight_decay},
            {"params": vectors, "lr": rate, "weight_decay": 0.0},
        ]
    return torch.optim.AdamW(groups, fused=True)


def _report(
    teacher: Teacher, dev: _Tokenised, device: torch.device, autocast: torch.autocast | None, epoch: int
) -> None:
    """Measure the epoch on dev (rank 0) and hand its weights to Ray Train; a barrier for all ranks."""
    if ray.train.get_context().get_world_rank() != 0:
        ray.train.report({"epoch": epoch})
        return
    metrics = _measure(teacher, dev, device, autocast)
    log.info("teacher epoch %d: %s", epoch + 1, {name: round(value, 4) for name, value in metrics.items()})
    with tempfile.TemporaryDirectory() as folder:
        save_model(teacher, f"{folder}/{WEIGHTS}")
        ray.train.report(metrics | {"epoch": epoch}, checkpoint=Checkpoint.from_directory(folder))


def _measure(
    teacher: Teacher, dev: _Tokenised, device: torch.device, autocast: torch.autocast | None
) -> dict[str, float]:
    teacher.eval()
    logits_NL = np.empty((len(dev.prompts), 5), dtype=np.float32)
    order = np.argsort([len(prompt.token_ids) for prompt in dev.prompts], kind="stable")
    for start in range(0, len(order), EVALUATION_BATCH):
        rows = order[start : start + EVALUATION_BATCH]
        batch = {name: value.to(device) for name, value in dev.batch(rows, teacher).items()}
        with torch.inference_mode(), autocast or contextlib.nullcontext():
            logits_NL[rows] = teacher(**batch).cpu().numpy()
    graded_NL = probabilities(logits_NL)
    chosen = graded_NL[np.arange(len(graded_NL)), dev.levels - 1]
    return {
        "dev_loss": float(-np.log(np.maximum(chosen, 1e-12)).mean()),
        "dev_accuracy": float((most_likely_level(graded_NL) == dev.levels).mean()),
        **mean_spearman(score(graded_NL), dev.grades, dev.sources),
    }


def _model_type(backbone: str) -> str:
    from transformers import AutoConfig

    return str(AutoConfig.from_pretrained(resolve(backbone)).model_type)
