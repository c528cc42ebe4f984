"""What one Ray Train worker of the search embedding does.

AdamW with linear warm-up and cosine decay on the in-batch loss. Rank 0 measures each epoch's recall and writes the
checkpoints; the negatives of a pair are the other pairs of its own worker's batch. Every random choice is a function of
seed, step and rank, so that a run that was killed and resumed ends, on a CPU, with the weights of one that was not.
"""

import logging
from itertools import islice
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray.train
import torch
from ray.train.torch import prepare_model
from torch import nn
from transformers import AutoTokenizer

from pinrank.backbones import resolve
from pinrank.distinct import distinct
from pinrank.precision import autocast
from pinrank.schedule import rate_at
from pinrank.search_embedding.batches import Learnt, num_batches, random_batches
from pinrank.search_embedding.export import save_search_embedding
from pinrank.search_embedding.loss import in_batch_loss
from pinrank.search_embedding.model import build_towers
from pinrank.search_embedding.pairs import measured_pairs
from pinrank.search_embedding.recall import recall_at
from pinrank.search_embedding.run import PUBLISHED, TrainingRun
from pinrank.search_embedding.settings import SearchEmbeddingSettings
from pinrank.student.encoder import TextEncoder
from pinrank.student.export import max_pin_tokens
from pinrank.teacher import checkpoint
from pinrank.training_record import TrainingRecord
from pinrank.training_run import REFUSED
from pinrank.training_step import Diverged, attention_on, seed_step, set_rates, take_step


class Worker:
    """Towers in training, on this worker's device."""

    def __init__(self, run: TrainingRun) -> None:
        self.run, self.settings = run, run.settings
        self.device = ray.train.torch.get_device()
        if self.device.type == "cpu":
            torch.set_num_threads(self.settings.threads_per_worker)
        context = ray.train.get_context()
        self.rank, self.num_ranks = context.get_world_rank(), context.get_world_size()
        self.tokenizer = AutoTokenizer.from_pretrained(resolve(self.settings.backbone))
        pairs = pq.read_table(run.pairs)
        learnt = pairs.filter(pc.invert(pairs["held_out"]))
        self.learnt = Learnt(learnt, self.tokenizer, self.settings.text, self.settings.correct_popularity)
        self.held_out = measured_pairs(pairs, run.pair_settings)
        self.steps_per_epoch = num_batches(len(self.learnt), self.settings.batch_size, self.num_ranks)
        torch.manual_seed(self.settings.seed)
        self.towers = build_towers(self.settings, attention_on(self.device))
        self.parallel = prepare_model(self.towers)
        self.optimizer = optimizer_of(self.towers, self.settings)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.progress = checkpoint.resume(run.folder, self.towers, self.optimizer)
        steps, ranks = self.settings.epochs * self.steps_per_epoch, (self.rank, self.num_ranks)
        self.record = TrainingRecord("search_embedding", steps, *ranks, self.progress.step, run.tracked)

    def learn(self, epoch: int) -> None:
        """What is left of one pass over this rank's share of the pairs."""
        self.parallel.train()
        seed = self.settings.seed * 1_000 + epoch
        done = self.progress.step - epoch * self.steps_per_epoch
        batches = random_batches(len(self.learnt), self.settings.batch_size, seed, self.rank, self.num_ranks)
        for rows_B in islice(batches, done, None):
            loss = self.descend(rows_B)
            self.record.step(self.progress.step, epoch, loss, samples=len(rows_B))
            self.progress.step += 1
            every = self.settings.checkpoint_every_steps
            if self.rank == 0 and every and self.progress.step % every == 0:
                checkpoint.save(self.run.folder, self.progress, self.towers, self.optimizer)

    def descend(self, rows_B: np.ndarray) -> float:
        """One optimiser step; returns the loss, or raises Diverged before the step."""
        step = self.progress.step
        seed_step(self.settings.seed, step, self.rank, self.num_ranks)
        share = rate_at(step, self.settings.epochs * self.steps_per_epoch, self.settings.warmup_share)
        set_rates(self.optimizer, self.rates, share)
        batch = self.learnt.batch(rows_B)
        with autocast(self.settings.precision, self.device):
            queries_BD, pins_BD = self.parallel(*batch.inputs(self.device))
        log_q_B, engaged_BB, weight_B = batch.beside(self.device)
        loss = in_batch_loss(queries_BD, pins_BD, log_q_B, engaged_BB, weight_B, self.settings.temperature)
        loss.backward()
        largest = self.settings.largest_gradient
        take_step(self.parallel, self.optimizer, loss.item(), largest, step, "Lower the learning rates.")
        return loss.item()

    def finish(self, epoch: int) -> None:
        """Measure the epoch, publish into the run's folder when it is the best, checkpoint. A barrier for all ranks."""
        if self.rank != 0:
            ray.train.report({})
            return
        metrics = {**self.before(), **self.measure(), "epoch": float(epoch + 1)}
        self.record.epoch(self.progress.step, epoch, metrics)
        self.progress.epochs_done = epoch + 1
        if self.progress.best_epoch == 0 or self.quality(metrics) > self.quality(self.progress.best_metrics):
            self.publish(metrics)
            self.progress.best_epoch, self.progress.best_metrics = epoch + 1, metrics
        checkpoint.save(self.run.folder, self.progress, self.towers, self.optimizer)
        ray.train.report(metrics)

    def quality(self, metrics: dict[str, float]) -> float:
        """What the epoch is chosen by: the first recall, or without held-out queries the later one."""
        return metrics.get(f"recall_at_{self.run.pair_settings.recall_at[0]}", metrics["epoch"])

    def before(self) -> dict[str, float]:
        """The recall before the first step, measured once and kept through checkpoints."""
        return {name: value for name, value in self.progress.best_metrics.items() if name.startswith("before_")}

    def measure(self) -> dict[str, float]:
        """Recall of the held-out queries' pins among the candidates; nothing when no query is held out."""
        if not self.held_out.num_rows:
            return {}
        candidates, place_of = self._candidates()
        queries, query_N = distinct(self.held_out["query"].to_pylist())
        engaged_QC = np.zeros((len(queries), len(candidates)), dtype=bool)
        engaged_QC[query_N, [place_of[pin] for pin in self.held_out["pin"].to_pylist()]] = True
        text, precision = self.settings.text, self.settings.precision
        queries_QD = self._encoder("query").encode(queries, text.max_query_tokens, precision)
        pins_CD = self._encoder("pin").encode(candidates, max_pin_tokens(text), precision)
        return recall_at(queries_QD @ pins_CD.T, engaged_QC, self.run.pair_settings.recall_at)

    def publish(self, metrics: dict[str, float]) -> None:
        """Write the towers as they are into the run's folder, in the place of an epoch that was worse."""
        save_search_embedding(
            self.towers,
            self.tokenizer,
            self.run.folder / PUBLISHED,
            name=self.run.name,
            backbone=self.settings.backbone,
            text=self.settings.text,
            metrics=metrics,
            lineage=self.run.lineage | {"training": self.settings.model_dump(mode="json")},
        )

    def _candidates(self) -> tuple[list[str], dict[str, int]]:
        candidates: list[str] = pq.read_table(self.run.candidates)["pin"].to_pylist()
        return candidates, {pin: place for place, pin in enumerate(candidates)}

    def _encoder(self, side: str) -> TextEncoder:
        tower = self.towers.query if side == "query" else self.towers.pin
        return TextEncoder(tower, self.tokenizer, self.device)


def train_worker(config: dict[str, Any]) -> None:
    """The function that Ray Train runs; its config is a TrainingRun as a dict.

    Rank 0 ends with the towers of the best epoch in FOLDER/PUBLISHED, or the reason why there are none in REFUSED.
    """
    logging.basicConfig(level=logging.INFO)
    run = TrainingRun.model_validate(config)
    worker = Worker(run)
    try:
        if worker.rank == 0 and worker.progress.step == 0:
            before = {f"before_{name}": value for name, value in worker.measure().items()}
            worker.progress.best_metrics = before
        with worker.record:
            for epoch in range(worker.progress.epochs_done, run.settings.epochs):
                worker.learn(epoch)
                worker.finish(epoch)
    except Diverged as refused:  # would only come again: no case for a retry
        if worker.rank == 0:
            (run.folder / REFUSED).write_text(str(refused))


def optimizer_of(towers: nn.Module, settings: SearchEmbeddingSettings) -> torch.optim.Optimizer:
    """AdamW with one learning rate for the backbone and one for the projections."""
    named = list(towers.named_parameters())
    projections = [parameter for name, parameter in named if ".projection." in name]
    backbone = [parameter for name, parameter in named if ".projection." not in name]
    groups = [{"params": backbone, "lr": settings.learning_rate}]
    if projections:
        groups.append({"params": projections, "lr": settings.projection_learning_rate})
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
