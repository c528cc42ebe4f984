"""What one Ray Train worker of the student does.

AdamW with one rate for the towers and one for the ranker, linear warm-up and cosine decay, batches of like length from
prepared parts. Rank 0 measures each epoch on dev and writes the checkpoints. Every random choice is a function of seed,
step and rank, so that a run that was killed and resumed ends, on a CPU, with the weights of one that was not.

Letters: N pairs, L = 5 levels.
"""

import logging
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import ray.train
import torch
from numpy.typing import NDArray
from ray.train.torch import prepare_model
from torch import Tensor

from pinrank.evaluation.dev import mean_spearman
from pinrank.levels import probabilities, score
from pinrank.lexical import LexicalStats
from pinrank.precision import autocast
from pinrank.schedule import rate_at
from pinrank.search_embedding.loss import in_batch_loss
from pinrank.student.batches import Batch, collate, collated
from pinrank.student.features import FeatureSpec
from pinrank.student.frozen import FrozenTexts
from pinrank.student.losses import loss_of
from pinrank.student.model import FrozenStudent, Student, build_ranker, build_student
from pinrank.student.parts import Order, Parts, num_batches
from pinrank.student.prepare import INPUTS
from pinrank.student.publish import save_student
from pinrank.student.retrieval import EngagedPairs, TwoObjectives
from pinrank.student.run import PUBLISHED, TrainingRun
from pinrank.student.settings import StudentSettings
from pinrank.student.tower_folder import tokenizer_of
from pinrank.student.towers import build_towers, shortened
from pinrank.teacher import checkpoint
from pinrank.training_record import TrainingRecord
from pinrank.training_run import REFUSED
from pinrank.training_step import Diverged, attention_on, seed_step, set_rates, take_step

DEV_BATCH = 128


class Worker:
    """A student in training, on this worker's device."""

    def __init__(self, run: TrainingRun) -> None:
        self.run, self.settings = run, run.settings
        self.device = ray.train.torch.get_device()
        if self.device.type == "cpu":
            torch.set_num_threads(self.settings.threads_per_worker)
        context = ray.train.get_context()
        self.rank, self.num_ranks = context.get_world_rank(), context.get_world_size()
        self.learning, self.dev = Parts(run.learning), Parts(run.dev)
        self.steps_per_epoch = num_batches(len(self.learning), self.settings.batch_size, self.num_ranks)
        self.tokenizer = tokenizer_of(self.settings.backbone)
        self.spec = FeatureSpec.open(run.folder / INPUTS)
        self.frozen = FrozenTexts.open(run.folder) if self.settings.frozen_towers else None
        torch.manual_seed(self.settings.seed)
        self.student = self.before_training()
        self.dims = self.settings.tower.dims
        self.engaged = self.engaged_pairs()
        if self.engaged is not None and isinstance(self.student, Student):
            self.parallel = prepare_model(TwoObjectives(self.student))
        else:
            self.parallel = prepare_model(self.student)
        self.optimizer = optimizer_of(self.student, self.settings)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.progress = checkpoint.resume(run.folder, self.student, self.optimizer)
        steps, ranks = self.settings.epochs * self.steps_per_epoch, (self.rank, self.num_ranks)
        self.record = TrainingRecord("student", steps, *ranks, self.progress.step, run.tracked)

    def before_training(self) -> Student | FrozenStudent:
        """What learns."""
        if self.frozen is None:
            return build_student(self.settings, self.spec, attention_on(self.device))
        return FrozenStudent(build_ranker(self.frozen.vector_dim, self.settings, self.spec))

    def engaged_pairs(self) -> EngagedPairs | None:
        """What the second objective learns from, where there is one."""
        if self.run.engaged is None:
            return None
        return EngagedPairs(self.run.engaged, self.settings, self.tokenizer, self.rank, self.num_ranks)

    def learn(self, epoch: int) -> None:
        """What is left of one pass over this rank's share of the rows."""
        self.parallel.train()
        for batch in self.batches(epoch, self.progress.step - epoch * self.steps_per_epoch):
            loss = self.descend(batch)
            self.record.step(self.progress.step, epoch, loss, samples=len(batch))
            self.progress.step += 1
            every = self.settings.checkpoint_every_steps
            if self.rank == 0 and every and self.progress.step % every == 0:
                checkpoint.save(self.run.folder, self.progress, self.student, self.optimizer)

    def batches(self, epoch: int, done: int) -> Iterator[Batch]:
        """An epoch's batches after the first `done`."""
        seed = self.settings.seed * 1_000 + epoch
        order = Order(self.settings.batch_size, seed, self.rank, self.num_ranks)
        for rows in self.learning.batches(order, done):
            yield self.batch(rows)

    def batch(self, rows: pa.Table) -> Batch:
        """Prepared rows as what the student reads."""
        return collate(rows, self.pad_id) if self.frozen is None else collated(rows, self.frozen)

    def descend(self, batch: Batch) -> float:
        """One optimiser step on a batch; returns its loss, and raises Diverged before a step that has no direction."""
        step, settings = self.progress.step, self.settings
        seed_step(settings.seed, step, self.rank, self.num_ranks)
        set_rates(
            self.optimizer, self.rates, rate_at(step, settings.epochs * self.steps_per_epoch, settings.warmup_share)
        )
        loss = self.loss(batch, step)
        loss.backward()
        largest = settings.largest_gradient
        take_step(self.parallel, self.optimizer, loss.item(), largest, step, "Lower the learning rates.")
        return loss.item()

    def loss(self, batch: Batch, step: int) -> Tensor:
        """The distillation's loss on a batch, and that of retrieval on the step's engaged pairs where they count.

        Each is the mean over the widths at which vectors shall be of use (Kusupati et al. 2022, equation 1, with equal
        weights).
        """
        settings = self.settings
        with autocast(settings.precision, self.device):
            if self.engaged is None:
                logits_KNL = self.parallel(*batch.inputs(self.device), self.dims)
            else:
                engaged = self.engaged.batch_at(step)
                graded = (*batch.inputs(self.device), self.dims)
                logits_KNL, queries_BD, pins_BD = self.parallel(graded, engaged.inputs(self.device))
        targets, weights = batch.targets(self.device), (settings.kl_weight, settings.hard_weight, self.run.mean_weight)
        loss = mean([loss_of(logits_NL, *targets, *weights) for logits_NL in of_widths(logits_KNL, self.dims)])
        if self.engaged is None:
            return loss
        beside, temperature = engaged.beside(self.device), settings.retrieval.temperature
        pairs = [(queries_BD, pins_BD), *((shortened(queries_BD, d), shortened(pins_BD, d)) for d in self.dims)]
        return loss + settings.retrieval.weight * mean([in_batch_loss(*each, *beside, temperature) for each in pairs])

    def finish(self, epoch: int) -> None:
        """Measure the epoch, keep its weights when it is the best, checkpoint. A barrier for all ranks."""
        if self.rank != 0:
            ray.train.report({})
            return
        dev_logits_KNL, human = self.grade_dev()
        metrics = {"epoch": float(epoch + 1)} | dev_metrics(dev_logits_KNL, human, self.dims)
        self.record.epoch(self.progress.step, epoch, metrics)
        self.progress.epochs_done = epoch + 1
        if quality(metrics) > quality(self.progress.best_metrics):
            checkpoint.keep_best(self.run.folder, epoch + 1, self.student, torch.from_numpy(dev_logits_KNL[0]))
            self.progress.best_epoch, self.progress.best_metrics = epoch + 1, metrics
        checkpoint.save(self.run.folder, self.progress, self.student, self.optimizer)
        checkpoint.drop_others(self.run.folder, self.progress.best_epoch)
        ray.train.report(metrics)

    def grade_dev(self) -> tuple[NDArray[np.float32], pa.Table]:
        """Logits of the dev rows at each width, float32[K, N, 5], the whole vectors' first, and the rows with target,
        grade and source, in the same order."""
        self.student.eval()
        logits, rows = [np.zeros((1 + len(self.dims), 0, 5), dtype=np.float32)], []
        for batch in self.dev.batches(Order(DEV_BATCH, seed=0)):
            with torch.inference_mode(), autocast(self.settings.precision, self.device):
                found = self.student(*self.batch(batch).inputs(self.device), self.dims)
            logits.append(np.stack([each.cpu().numpy() for each in of_widths(found, self.dims)]))
            rows.append(batch.select(["target", "grade", "source"]))
        return np.concatenate(logits, axis=1), pa.concat_tables(rows) if rows else pa.table({})

    @property
    def pad_id(self) -> int:
        """What pads a batch; any id will do where the tokenizer names none, as padding is masked."""
        return int(self.tokenizer.pad_token_id or 0)


def train_worker(config: dict[str, Any]) -> None:
    """The function that Ray Train runs; its config is a TrainingRun as a dict.

    Rank 0 ends with the finished student in FOLDER/PUBLISHED, or the reason why there is none in FOLDER/REFUSED.
    """
    logging.basicConfig(level=logging.INFO)
    run = TrainingRun.model_validate(config)
    worker = Worker(run)
    try:
        with worker.record:
            for epoch in range(worker.progress.epochs_done, run.settings.epochs):
                worker.learn(epoch)
                worker.finish(epoch)
            if worker.rank == 0:
                conclude(worker)
    except Diverged as refused:  # would only come again: no case for a retry
        if worker.rank == 0:
            (run.folder / REFUSED).write_text(str(refused))


def conclude(worker: Worker) -> None:
    """Publish the best epoch into the run's folder."""
    run, progress = worker.run, worker.progress
    student = worker.student
    checkpoint.load_best(run.folder, progress.best_epoch, student)
    if isinstance(student, FrozenStudent):
        tower = run.settings.tower
        student = Student(build_towers(run.settings.backbone, tower), student.ranker, tower.dims)
    save_student(
        student,
        worker.tokenizer,
        worker.spec,
        LexicalStats.open(run.folder / INPUTS),
        run.folder / PUBLISHED,
        name=run.name,
        backbone=run.settings.backbone,
        text=run.settings.text,
        metrics=progress.best_metrics,
        lineage=run.lineage | {"training": run.settings.model_dump(mode="json")},
    )


def of_widths(logits: Tensor, dims: tuple[int, ...]) -> list[Tensor]:
    """logits_NL of each width, from what a student gives for these dims."""
    return list(logits) if dims else [logits]


def mean(losses: list[Tensor]) -> Tensor:
    """The mean of scalars."""
    return torch.stack(losses).mean()


def quality(metrics: dict[str, float]) -> float:
    """What the epoch is chosen by: dev_spearman, or without dev rows the later one."""
    return metrics.get("dev_spearman", metrics.get("epoch", -math.inf))


def dev_metrics(logits_KNL: NDArray[np.float32], human: pa.Table, dims: tuple[int, ...]) -> dict[str, float]:
    """Cross-entropy with the human's target and Spearman of score and grade, over the dev rows; the latter also at the
    smaller widths. Nothing where there are no rows."""
    if not human.num_rows:
        return {}
    found, *shorter = (metrics_of(logits_NL, human) for logits_NL in logits_KNL)
    return found | {f"dev_spearman_at_{dim}": at["dev_spearman"] for dim, at in zip(dims, shorter, strict=True)}


def metrics_of(logits_NL: NDArray[np.float32], human: pa.Table) -> dict[str, float]:
    """Cross-entropy and Spearman at one width."""
    graded_NL = probabilities(logits_NL)
    target_NL = np.asarray(human["target"].combine_chunks().flatten()).reshape(graded_NL.shape)
    loss_N = -(target_NL * np.log(np.maximum(graded_NL, 1e-12))).sum(axis=1)
    sources_N = np.asarray(human["source"].to_pylist())
    spearman = mean_spearman(score(graded_NL), human["grade"].to_numpy(), sources_N)
    return {"dev_loss": float(loss_N.mean())} | spearman


def optimizer_of(student: Student | FrozenStudent, settings: StudentSettings) -> torch.optim.Optimizer:
    """AdamW with one learning rate for the towers, where they learn, and one for the ranker."""
    groups = [{"params": list(student.ranker.parameters()), "lr": settings.ranker_learning_rate}]
    if isinstance(student, Student):
        groups.insert(0, {"params": list(student.towers.parameters()), "lr": settings.encoder_learning_rate})
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
