"""What one Ray Train worker of the teacher does.

AdamW with rates by layer, linear warm-up and cosine decay, length-grouped batches, gradient accumulation. Rank 0
measures each epoch on dev and writes the checkpoints. Every random choice is a function of seed, step and rank, so that
a run that was killed and resumed ends, on a CPU, with the weights of one that was not.

Letters: N pairs, L = 5 levels.
"""

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray.train
import torch
from numpy.typing import NDArray
from ray.train.collective import broadcast_from_rank_zero
from ray.train.torch import prepare_model
from torch import Tensor, nn

from pinrank.backbones import resolve
from pinrank.errors import ParityError
from pinrank.evaluation.dev import mean_spearman
from pinrank.levels import NUM_LEVELS, most_likely_level, probabilities, score
from pinrank.precision import autocast
from pinrank.schedule import rate_at
from pinrank.teacher import checkpoint
from pinrank.teacher.batches import balanced, length_grouped
from pinrank.teacher.calibration import fit_calibration
from pinrank.teacher.engine import batches_by_length
from pinrank.teacher.examples import EXAMPLES, Tokenised, tokenised
from pinrank.teacher.export import publish
from pinrank.teacher.families import Pooling, uses_token_types
from pinrank.teacher.lora import merged, open_trainable, refuse_if_changed
from pinrank.teacher.losses import loss_of
from pinrank.teacher.model import Teacher
from pinrank.teacher.optimisation import optimizer_of, parameter_groups
from pinrank.teacher.phases import Phase, phases_of
from pinrank.teacher.run import PUBLISHED, TrainingRun
from pinrank.teacher.settings import TeacherSettings
from pinrank.teacher.targets import class_weights
from pinrank.teacher.tokens import PairTokenizer, padded
from pinrank.tracking import Tracked
from pinrank.training_record import TrainingRecord
from pinrank.training_run import REFUSED
from pinrank.training_step import Diverged, seed_step, set_rates, take_step

PROBE_PAIRS = 512
EVALUATION_BATCH = 128


class Worker:
    """A teacher in training, on this worker's device."""

    def __init__(
        self,
        settings: TeacherSettings,
        pooling: Pooling,
        examples: pa.Table,
        folder: Path,
        tracked: Tracked | None = None,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.device = ray.train.torch.get_device()
        if self.device.type == "cpu":
            torch.set_num_threads(settings.cpus_per_worker)
        context = ray.train.get_context()
        self.rank, self.num_ranks = context.get_world_rank(), context.get_world_size()
        self.tokenizer = PairTokenizer.open(resolve(settings.backbone), settings.text)
        weak, self.learning, self.dev = (
            tokenised(examples, split, self.tokenizer, settings.targets) for split in ("weak", "train", "dev")
        )
        self.phases = phases_of(settings, weak, self.learning, self.num_ranks)
        torch.manual_seed(settings.seed)
        self.teacher = Teacher(open_trainable(settings, self.device), pooling, settings.head)
        self.parallel = prepare_model(self.teacher)
        self.uses_types = uses_token_types(self.teacher.backbone.config)
        self.weights_L = self._class_weights()
        self.optimizer = optimizer_of(self.teacher, settings)
        self.rates = {phase.judged: self.rates_in(phase) for phase in self.phases}
        self.progress = checkpoint.resume(folder, self.teacher, self.optimizer)
        steps = self.phases[-1].first_step + self.phases[-1].steps
        ranks = (self.rank, self.num_ranks)
        self.record = TrainingRecord("teacher", steps, *ranks, self.progress.step, tracked)

    def learn(self, epoch: int) -> None:
        """What is left of one pass over this rank's share of the phase's pairs."""
        self.parallel.train()
        phase = self.phase_of(epoch)
        if self.progress.step == phase.first_step:
            self.optimizer.state.clear()  # moments of one kind of target mislead the first steps on another
        done = self.progress.step - phase.first_step_of(epoch)
        for micro_batches in islice(self.steps_of(epoch), done, None):
            loss = self.descend(micro_batches)
            self.record.step(self.progress.step, epoch, loss, samples=sum(map(len, micro_batches)))
            self.progress.step += 1
            every = self.settings.checkpoint_every_steps
            if self.rank == 0 and every and self.progress.step % every == 0:
                checkpoint.save(self.folder, self.progress, self.teacher, self.optimizer)

    def descend(self, micro_batches: list[NDArray[np.int64]]) -> float:
        """One optimiser step on the sum of a few batches; returns the mean loss, or raises Diverged before the step."""
        step = self.progress.step
        seed_step(self.settings.seed, step, self.rank, self.num_ranks)
        phase = next(phase for phase in self.phases if step < phase.first_step + phase.steps)
        self.set_rates(phase)
        total = 0.0
        for place, rows in enumerate(micro_batches):
            with self._synchronised(place == len(micro_batches) - 1):
                with autocast(self.settings.precision, self.device):
                    logits_NL = self.parallel(**self.batch(phase.pairs, rows))
                targets_NL = torch.as_tensor(phase.pairs.targets_NL[rows], device=self.device, dtype=torch.float32)
                weights_L = self.weights_L if phase.judged else None
                loss = loss_of(self.settings.loss, logits_NL, targets_NL, weights_L) / len(micro_batches)
                loss.backward()
            total += loss.item()
        largest = self.settings.largest_gradient
        take_step(self.parallel, self.optimizer, total, largest, step, "Lower --teacher.learning_rate.")
        return total

    def finish(self, epoch: int) -> None:
        """Measure the epoch, keep its weights when it is the best, checkpoint. A barrier for all ranks."""
        if self.rank != 0:
            ray.train.report({})
            return
        dev_logits_NL = self.grade(self.dev)
        metrics = dev_metrics(dev_logits_NL, self.dev) | {"epoch": float(epoch + 1)}
        self.record.epoch(self.progress.step, epoch, metrics)
        self.progress.epochs_done = epoch + 1
        if metrics["dev_spearman"] > self.progress.best_metrics.get("dev_spearman", -math.inf):
            checkpoint.keep_best(self.folder, epoch + 1, self.teacher, torch.from_numpy(dev_logits_NL))
            self.progress.best_epoch, self.progress.best_metrics = epoch + 1, metrics
        checkpoint.save(self.folder, self.progress, self.teacher, self.optimizer)
        checkpoint.drop_others(self.folder, self.progress.best_epoch)
        ray.train.report(metrics)

    def goes_on(self) -> bool:
        """Whether the next epoch is worth its time; the same answer on all ranks."""
        patience = self.settings.patience
        stale = self.progress.epochs_done - max(self.progress.best_epoch, self.phases[-1].epochs.start)
        return bool(broadcast_from_rank_zero(patience is None or stale < patience))

    def grade(self, split: Tokenised) -> NDArray[np.float32]:
        """Logits of a split's pairs, float32[N, 5]."""
        self.teacher.eval()
        logits_NL = np.empty((len(split.prompts), NUM_LEVELS), dtype=np.float32)
        for rows in batches_by_length(split.prompts, EVALUATION_BATCH):
            with torch.no_grad(), autocast(self.settings.precision, self.device):
                logits_NL[rows] = self.teacher(**self.batch(split, rows)).cpu().numpy()
        return logits_NL

    def batch(self, split: Tokenised, rows: Iterable[int]) -> dict[str, Tensor]:
        """Rows of a split as padded tensors on this worker's device."""
        tensors = padded([split.prompts[row] for row in rows], self.tokenizer.pad_id, self.uses_types)
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}

    def phase_of(self, epoch: int) -> Phase:
        """The phase that an epoch of the run belongs to."""
        return next(phase for phase in self.phases if epoch in phase.epochs)

    def rates_in(self, phase: Phase) -> list[float]:
        """The full learning rate of every group of parameters in a phase."""
        in_phase = self.settings.model_copy(update={"learning_rate": phase.learning_rate})
        return [group["lr"] for group in parameter_groups(self.teacher, in_phase)]

    def set_rates(self, phase: Phase) -> None:
        """Give every group of parameters its learning rate of the present step."""
        share = rate_at(self.progress.step - phase.first_step, phase.steps, self.settings.warmup_share)
        set_rates(self.optimizer, self.rates[phase.judged], share)

    def steps_of(self, epoch: int) -> Iterator[list[NDArray[np.int64]]]:
        """The epoch's batches, as many together as make one step."""
        phase, seed = self.phase_of(epoch), self.settings.seed * 1_000 + epoch
        balance = self.settings.source_balance if phase.judged else 0.0
        rows = balanced(phase.pairs.sources_N, balance, seed) if balance else None
        batches = length_grouped(phase.pairs.lengths(), self.settings.batch_size, seed, self.rank, self.num_ranks, rows)
        while together := list(islice(batches, self.settings.accumulation)):
            yield together

    def _synchronised(self, is_last: bool) -> contextlib.AbstractContextManager[Any]:
        if is_last or not isinstance(self.parallel, nn.parallel.DistributedDataParallel):
            return contextlib.nullcontext()
        return self.parallel.no_sync()

    def _class_weights(self) -> Tensor | None:
        if not self.settings.class_weighting:
            return None
        weights_L = class_weights(self.learning.targets_NL, self.settings.class_weighting)
        return torch.as_tensor(weights_L, device=self.device, dtype=torch.float32)


def train_worker(config: dict[str, Any]) -> None:
    """The function that Ray Train runs; its config is a TrainingRun as a dict.

    Rank 0 ends with the finished teacher in FOLDER/PUBLISHED, or the reason why there is none in FOLDER/REFUSED.
    """
    logging.basicConfig(level=logging.INFO)
    run = TrainingRun.model_validate(config)
    examples = pq.read_table(run.examples, schema=EXAMPLES)
    worker = Worker(run.settings, run.pooling, examples, run.folder, run.tracked)
    try:
        with worker.record:
            for epoch in range(worker.progress.epochs_done, worker.phases[-1].epochs.stop):
                if not worker.goes_on():
                    break
                worker.learn(epoch)
                worker.finish(epoch)
            if worker.rank == 0:
                conclude(worker, run)
    except (Diverged, ParityError) as refused:  # would only come again: no case for a retry
        if worker.rank == 0:
            (run.folder / REFUSED).write_text(str(refused))


def conclude(worker: Worker, run: TrainingRun) -> None:
    """Merge, calibrate and publish the best epoch; ParityError when the merged teacher is another than the trained."""
    progress = worker.progress
    dev_logits_NL = checkpoint.load_best(run.folder, progress.best_epoch, worker.teacher).numpy()
    if run.settings.lora:
        worker.teacher = merged(worker.teacher, run.settings.lora, worker.device)
        probe = np.arange(min(PROBE_PAIRS, len(dev_logits_NL)))
        refuse_if_changed(dev_logits_NL[probe], worker.grade(worker.dev.take(probe)))
    card = {
        "backbone": run.settings.backbone,
        "pooling": run.pooling,
        "head": run.settings.head,
        "text": run.settings.text,
        "calibration": fit_calibration(dev_logits_NL, worker.dev.levels_N, worker.dev.locales_N),
        "metrics": progress.best_metrics,
        "lineage": run.lineage | {"training": run.settings.model_dump(mode="json")},
    }
    publish(worker.teacher, run.name, card, str(run.folder / PUBLISHED))


def dev_metrics(logits_NL: NDArray[np.float32], dev: Tokenised) -> dict[str, float]:
    """Cross-entropy with the human level, accuracy and Spearman on dev."""
    graded_NL = probabilities(logits_NL)
    of_human_N = graded_NL[np.arange(len(graded_NL)), dev.levels_N - 1]
    return {
        "dev_loss": float(-np.log(np.maximum(of_human_N, 1e-12)).mean()),
        "dev_accuracy": float((most_likely_level(graded_NL) == dev.levels_N).mean()),
        **mean_spearman(score(graded_NL), dev.grades_N, dev.sources_N),
    }
