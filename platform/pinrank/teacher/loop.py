"""What one Ray Train worker of the teacher does.

AdamW with one rate for the backbone and one for the head, linear warm-up and cosine decay, length-grouped batches.
Rank 0 measures each epoch on dev and hands its weights to Ray Train.
"""

import logging
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray.train
import torch
from numpy.typing import NDArray
from ray.train import Checkpoint
from ray.train.torch import prepare_model
from safetensors.torch import save_model
from torch import Tensor, nn

from pinrank.backbones import resolve
from pinrank.errors import ModelError
from pinrank.evaluation.dev import mean_spearman
from pinrank.levels import NUM_LEVELS, most_likely_level, probabilities, score
from pinrank.precision import autocast
from pinrank.schedule import rate_at
from pinrank.teacher.batches import length_grouped, num_batches
from pinrank.teacher.examples import EXAMPLES
from pinrank.teacher.model import Teacher, open_backbone, uses_token_types
from pinrank.teacher.settings import TeacherSettings
from pinrank.teacher.tokens import PairTokenizer, Prompt, padded

log = logging.getLogger(__name__)

WEIGHTS = "teacher.safetensors"
STEPS_BETWEEN_LOGS = 25
EVALUATION_BATCH = 128


@dataclass(frozen=True)
class Tokenised:
    """The examples of one split: prompts with their levels 1..5, grades in [0, 1] and sources."""

    prompts: list[Prompt]
    levels_N: NDArray[np.int64]
    grades_N: NDArray[np.float64]
    sources_N: NDArray[np.str_]

    def lengths(self) -> list[int]:
        """Tokens of every prompt."""
        return [len(prompt.token_ids) for prompt in self.prompts]


class Worker:
    """A teacher in training, on this worker's device."""

    def __init__(self, settings: TeacherSettings, pooling: Any, examples: pa.Table) -> None:
        self.settings = settings
        self.device = ray.train.torch.get_device()
        if self.device.type == "cpu":
            torch.set_num_threads(settings.cpus_per_worker)
        torch.manual_seed(settings.seed)
        context = ray.train.get_context()
        self.rank, self.num_ranks = context.get_world_rank(), context.get_world_size()
        tokenizer = PairTokenizer.open(resolve(settings.backbone), settings.text)
        self.pad_id = tokenizer.tokenizer.pad_token_id or 0
        self.learning, self.dev = (tokenised(examples, split, tokenizer) for split in ("train", "dev"))
        # Eager attention: the backward pass of the fused one is several times slower on CPUs (docs/decisions).
        attention = "eager" if self.device.type == "cpu" else "sdpa"
        backbone = open_backbone(settings.backbone, attention, settings.backbone_dropout)
        self.teacher = Teacher(backbone, pooling, settings.head)
        self.parallel = prepare_model(self.teacher)
        self.uses_types = uses_token_types(self.teacher.backbone)
        self.steps = settings.epochs * num_batches(len(self.learning.prompts), settings.batch_size, self.num_ranks)
        self.step = 0
        self.optimizer = optimizer(self.teacher, settings)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: rate_at(step, self.steps, settings.warmup_share)
        )

    def learn(self, epoch: int) -> None:
        """One pass over this rank's share of the training pairs."""
        self.parallel.train()
        seed = self.settings.seed * 1_000 + epoch
        lengths = self.learning.lengths()
        for rows in length_grouped(lengths, self.settings.batch_size, seed, self.rank, self.num_ranks):
            loss = self.descend(rows)
            if self.step % STEPS_BETWEEN_LOGS == 0 and self.rank == 0:
                log.info("teacher step %d of %d, epoch %d, loss %.4f", self.step, self.steps, epoch + 1, loss)
            self.step += 1

    def descend(self, rows: NDArray[np.int64]) -> float:
        """One optimiser step on a batch; returns its loss, and raises ModelError when that is no number."""
        levels_N = torch.as_tensor(self.learning.levels_N[rows], device=self.device)
        with autocast(self.settings.precision, self.device):
            logits_NL = self.parallel(**self.batch(self.learning, rows))
        loss = nn.functional.cross_entropy(logits_NL, levels_N - 1)
        if not torch.isfinite(loss):
            raise ModelError(f"the loss is {loss.item()} at step {self.step}: lower --teacher.learning_rate")
        loss.backward()
        nn.utils.clip_grad_norm_(self.teacher.parameters(), self.settings.largest_gradient)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def report(self, epoch: int) -> None:
        """Hand the epoch's dev figures and weights to Ray Train; a barrier for all ranks."""
        if self.rank != 0:
            ray.train.report({})
            return
        metrics = self.measure()
        log.info("teacher epoch %d: %s", epoch + 1, {name: round(value, 4) for name, value in metrics.items()})
        with tempfile.TemporaryDirectory() as folder:
            save_model(self.teacher, f"{folder}/{WEIGHTS}")
            ray.train.report(metrics | {"epoch": float(epoch + 1)}, checkpoint=Checkpoint.from_directory(folder))

    def measure(self) -> dict[str, float]:
        """Cross-entropy, accuracy and Spearman on dev."""
        self.teacher.eval()
        logits_NL = np.empty((len(self.dev.prompts), NUM_LEVELS), dtype=np.float32)
        order = np.argsort(self.dev.lengths(), kind="stable")
        for start in range(0, len(order), EVALUATION_BATCH):
            rows = order[start : start + EVALUATION_BATCH]
            with torch.inference_mode(), autocast(self.settings.precision, self.device):
                logits_NL[rows] = self.teacher(**self.batch(self.dev, rows)).cpu().numpy()
        graded_NL = probabilities(logits_NL)
        of_human_N = graded_NL[np.arange(len(graded_NL)), self.dev.levels_N - 1]
        return {
            "dev_loss": float(-np.log(np.maximum(of_human_N, 1e-12)).mean()),
            "dev_accuracy": float((most_likely_level(graded_NL) == self.dev.levels_N).mean()),
            **mean_spearman(score(graded_NL), self.dev.grades_N, self.dev.sources_N),
        }

    def batch(self, split: Tokenised, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Rows of a split as padded tensors on this worker's device."""
        tensors = padded([split.prompts[row] for row in rows], self.pad_id, self.uses_types)
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}


def train_worker(config: dict[str, Any]) -> None:
    """The function that Ray Train runs: `settings`, `pooling` and the path of `examples` in its config."""
    logging.basicConfig(level=logging.INFO)
    settings = TeacherSettings.model_validate(config["settings"])
    worker = Worker(settings, config["pooling"], pq.read_table(config["examples"], schema=EXAMPLES))
    for epoch in range(settings.epochs):
        worker.learn(epoch)
        worker.report(epoch)


def tokenised(examples: pa.Table, split: str, tokenizer: PairTokenizer) -> Tokenised:
    """Tokenise one split of EXAMPLES; a grade is the relevance where it is known, else (level - 1) / 4."""
    rows = examples.filter(pc.field("split") == split)
    levels_N = rows["level"].to_numpy().astype(np.int64)
    relevance_N = rows["relevance"].to_numpy().astype(np.float64)
    return Tokenised(
        prompts=tokenizer.prompts(list(zip(rows["query"].to_pylist(), rows["text"].to_pylist(), strict=True))),
        levels_N=levels_N,
        grades_N=np.where(np.isnan(relevance_N), (levels_N - 1) / (NUM_LEVELS - 1), relevance_N),
        sources_N=np.asarray(rows["source"].to_pylist()),
    )


def optimizer(teacher: Teacher, settings: TeacherSettings) -> torch.optim.Optimizer:
    """AdamW; biases and norms are not decayed."""
    groups = []
    for module, rate in ((teacher.backbone, settings.learning_rate), (teacher.head, settings.head_learning_rate)):
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        matrices = [weight for weight in weights if weight.dim() > 1]
        vectors = [weight for weight in weights if weight.dim() <= 1]
        groups += [
            {"params": matrices, "lr": rate, "weight_decay": settings.weight_decay},
            {"params": vectors, "lr": rate, "weight_decay": 0.0},
        ]
    return torch.optim.AdamW(groups, fused=True)
