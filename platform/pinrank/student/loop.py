"""The training loop of the student, as a Ray Train worker runs it.

Soft cross-entropy with the target distribution at a temperature, times its square so that the gradient keeps its size
(Hinton, Vinyals, Dean 2015); AdamW with one rate for the encoder and one for the ranker. A loss that is not finite ends
the run.

Letters: N pairs, L = 5 levels.
"""

import logging
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray.train
import torch
from ray.train import Checkpoint
from ray.train.torch import prepare_model
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from transformers import AutoTokenizer

from pinrank.backbones import resolve
from pinrank.errors import ModelError
from pinrank.evaluation.dev import mean_spearman
from pinrank.levels import probabilities, score
from pinrank.precision import autocast
from pinrank.schedule import rate_at
from pinrank.student.batches import WINDOW_BATCHES, Batch, collate, length_cut
from pinrank.student.features import FeatureSpec
from pinrank.student.model import Ranker, Student
from pinrank.student.settings import StudentSettings
from pinrank.student.towers import build_towers
from pinrank.training_step import attention_on

log = logging.getLogger(__name__)

WEIGHTS = "student.safetensors"
STEPS_BETWEEN_LOGS = 25
SHUFFLED_WINDOWS = 4
DEV_BATCH = 128
DEV_WINDOW = 16 * DEV_BATCH


class Worker:
    """A student in training, on this worker's device."""

    def __init__(self, settings: StudentSettings, spec: FeatureSpec, num_rows: int) -> None:
        self.settings = settings
        self.device = ray.train.torch.get_device()
        if self.device.type == "cpu":
            torch.set_num_threads(settings.threads_per_worker)
        torch.manual_seed(settings.seed)
        context = ray.train.get_context()
        self.rank = context.get_world_rank()
        self.student = build_student(settings, spec, attention_on(self.device))
        self.first_epoch = resume(self.student)
        self.parallel = prepare_model(self.student)
        self.pad_id = AutoTokenizer.from_pretrained(resolve(settings.backbone)).pad_token_id or 0
        steps_per_epoch = math.ceil(num_rows // context.get_world_size() / settings.batch_size)
        self.steps = settings.epochs * steps_per_epoch
        self.step = self.first_epoch * steps_per_epoch
        self.optimizer = optimizer(self.student, settings)
        start = self.step
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: rate_at(start + step, self.steps, settings.warmup_share)
        )

    def learn(self, epoch: int) -> None:
        """One pass over this rank's share of the training rows, shuffled anew, in batches of like length."""
        self.parallel.train()
        seed = self.settings.seed * 1_000 + epoch
        window = self.settings.batch_size * WINDOW_BATCHES
        windows = ray.train.get_dataset_shard("train").iter_batches(
            batch_size=window,
            batch_format="pyarrow",
            local_shuffle_buffer_size=SHUFFLED_WINDOWS * window,
            local_shuffle_seed=seed,
        )
        for rows in length_cut(windows, self.settings.batch_size, seed * 1_000 + self.rank):
            loss = self.descend(collate(rows, self.pad_id))
            if self.step % STEPS_BETWEEN_LOGS == 0 and self.rank == 0:
                log.info("student step %d of %d, epoch %d, loss %.4f", self.step, self.steps, epoch + 1, loss)
            self.step += 1

    def descend(self, batch: Batch) -> float:
        """One optimiser step on a batch; returns its loss, and raises ModelError when that is no number."""
        with autocast(self.settings.precision, self.device):
            logits_NL = self.parallel(*batch.inputs(self.device))
        targets = (batch.target_NL, batch.temperature_N, batch.weight_N)
        loss = soft_cross_entropy(logits_NL, *(tensor.to(self.device) for tensor in targets))
        if not torch.isfinite(loss):
            raise ModelError(f"the loss is {loss.item()} at step {self.step}: lower the learning rates")
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), self.settings.largest_gradient)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def report(self, epoch: int, has_dev: bool) -> None:
        """Hand the epoch's weights and figures to Ray Train; a barrier for all ranks.

        `quality`, by which the epoch is chosen, is dev_spearman, or without dev rows the epoch's number.
        """
        if self.rank != 0:
            ray.train.report({})
            return
        metrics = {"epoch": float(epoch + 1)} | (self.measure() if has_dev else {})
        log.info("student epoch %d: %s", epoch + 1, {name: round(value, 4) for name, value in metrics.items()})
        quality = metrics.get("dev_spearman", metrics["epoch"])
        with tempfile.TemporaryDirectory() as folder:
            save_model(self.student, f"{folder}/{WEIGHTS}")
            checkpoint = Checkpoint.from_directory(folder)
            checkpoint.set_metadata({"epochs_done": epoch + 1})
            ray.train.report(metrics | {"quality": quality}, checkpoint=checkpoint)

    def measure(self) -> dict[str, float]:
        """Cross-entropy with the human's target and Spearman of score and grade, over the dev rows."""
        self.student.eval()
        logits, graded = [], []
        windows = ray.train.get_dataset_shard("dev").iter_batches(batch_size=DEV_WINDOW, batch_format="pyarrow")
        for rows in length_cut(windows, DEV_BATCH, seed=0):
            with torch.inference_mode(), autocast(self.settings.precision, self.device):
                logits.append(self.student(*collate(rows, self.pad_id).inputs(self.device)).cpu().numpy())
            graded.append(rows.select(["target", "grade", "source"]))
        human = pa.concat_tables(graded)
        graded_NL = probabilities(np.concatenate(logits))
        target_NL = np.asarray(human["target"].combine_chunks().flatten()).reshape(graded_NL.shape)
        loss_N = -(target_NL * np.log(np.maximum(graded_NL, 1e-12))).sum(axis=1)
        sources_N = np.asarray(human["source"].to_pylist())
        spearman = mean_spearman(score(graded_NL), human["grade"].to_numpy(), sources_N)
        return {"dev_loss": float(loss_N.mean())} | spearman


def train_worker(config: dict[str, Any]) -> None:
    """The function that Ray Train runs: `settings`, `spec`, `num_rows` and `has_dev` in its config."""
    logging.basicConfig(level=logging.INFO)
    settings = StudentSettings.model_validate(config["settings"])
    worker = Worker(settings, FeatureSpec.model_validate(config["spec"]), config["num_rows"])
    for epoch in range(worker.first_epoch, settings.epochs):
        worker.learn(epoch)
        worker.report(epoch, config["has_dev"])


def build_student(settings: StudentSettings, spec: FeatureSpec, attention: str | None = None) -> Student:
    """The student before training: pretrained towers under a ranker that starts from the cosine."""
    towers = build_towers(settings.backbone, settings.tower, attention, settings.backbone_dropout)
    ranker = Ranker(towers.vector_dim, spec.num_features, settings.ranker, spec.cosine_centre, spec.cosine_scale)
    return Student(towers, ranker)


def soft_cross_entropy(logits_NL: Tensor, target_NL: Tensor, temperature_N: Tensor, weight_N: Tensor) -> Tensor:
    """Weighted mean of T^2 * cross-entropy(target, softmax(logits / T)), a scalar."""
    log_probabilities_NL = torch.log_softmax(logits_NL / temperature_N[:, None], dim=-1)
    loss_N = -(target_NL * log_probabilities_NL).sum(dim=-1) * temperature_N**2
    return (weight_N * loss_N).sum() / weight_N.sum()


def optimizer(student: Student, settings: StudentSettings) -> torch.optim.Optimizer:
    """AdamW with one learning rate for the towers and one for the ranker."""
    return torch.optim.AdamW(
        [
            {"params": list(student.towers.parameters()), "lr": settings.encoder_learning_rate},
            {"params": list(student.ranker.parameters()), "lr": settings.ranker_learning_rate},
        ],
        weight_decay=settings.weight_decay,
        fused=True,
    )


def resume(student: Student) -> int:
    """After a lost worker: load the last reported weights and return the number of epochs they took, else 0.

    The optimiser's moments are not kept; they are relearnt within a few steps.
    """
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        load_model(student, str(Path(folder) / WEIGHTS))
    return int(checkpoint.get_metadata()["epochs_done"])
