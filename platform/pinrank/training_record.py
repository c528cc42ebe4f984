"""What a training run says of itself while it lasts: in the log, and as metrics of Ray."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pinrank.ray_metrics import Counter, Gauge, Metric

log = logging.getLogger(__name__)

STEPS_BETWEEN_LOGS = 25

LOSS = Gauge("pinrank_training_loss", "Loss of the last step, of the first worker's share.", ("model",))
SAMPLES = Counter("pinrank_training_samples_total", "Pairs that the workers learnt from.", ("model",))
DEV_SPEARMAN = Gauge("pinrank_training_dev_spearman", "Rank correlation with the grades of dev, -1..1.", ("model",))

METRICS: tuple[Metric, ...] = (LOSS, SAMPLES, DEV_SPEARMAN)


@dataclass(frozen=True)
class TrainingRecord:
    """The record of one worker of a run; all count their samples, rank 0 alone says the rest.

    model: teacher, student or search_embedding. steps: of the whole run.
    """

    model: str
    steps: int
    rank: int

    def step(self, step: int, epoch: int, loss: float, samples: int) -> None:
        """A step was taken; both count from 0."""
        SAMPLES.add(samples, self.model)
        if self.rank:
            return
        LOSS.set(loss, self.model)
        if step % STEPS_BETWEEN_LOGS == 0:
            log.info("%s step %d of %d, epoch %d, loss %.4f", self.model, step, self.steps, epoch + 1, loss)

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Rank 0 measured an epoch, which counts from 0, on dev."""
        if "dev_spearman" in metrics:
            DEV_SPEARMAN.set(metrics["dev_spearman"], self.model)
        told = {name: round(value, 4) for name, value in metrics.items()}
        log.info("%s epoch %d: %s", self.model, epoch + 1, told)
