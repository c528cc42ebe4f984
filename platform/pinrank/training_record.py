"""What a training run says of itself while it lasts: in the log, as metrics of Ray, and where its course is kept."""

import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from pinrank.ray_metrics import Counter, Gauge, Metric
from pinrank.tracking import Track, Tracked, open_tracks

log = logging.getLogger(__name__)

STEPS_BETWEEN_LOGS = 25

LOSS = Gauge("pinrank_training_loss", "Loss of the last step, of the first worker's share.", ("model",))
SAMPLES = Counter("pinrank_training_samples_total", "Pairs that the workers learnt from.", ("model",))
DEV_SPEARMAN = Gauge("pinrank_training_dev_spearman", "Rank correlation with the grades of dev, -1..1.", ("model",))

METRICS: tuple[Metric, ...] = (LOSS, SAMPLES, DEV_SPEARMAN)


class TrainingRecord:
    """The record of one worker of a run, for as long as it trains: all count their samples, rank 0 alone says the rest.

    model: teacher, student or search_embedding. steps: of the whole run, which goes on from `from_step`. Losses are
    those of the first worker's share; samples/s those of all, if they have as many as the first.
    """

    def __init__(
        self,
        model: str,
        steps: int,
        rank: int = 0,
        num_ranks: int = 1,
        from_step: int = 0,
        tracked: Tracked | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model, self.steps, self.rank, self.num_ranks = model, steps, rank, num_ranks
        self._from_step, self._tracked, self._clock = from_step, tracked, clock
        self._tracks: list[Track] = []
        self._losses: list[float] = []
        self._samples = 0
        self._since = clock()

    def __enter__(self) -> "TrainingRecord":
        if self.rank == 0 and self._tracked is not None:
            self._tracks = open_tracks(self._tracked, self.model, self.steps, self._from_step)
        self._since = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for track in self._tracks:
            track.end("finished" if kind is None else "failed")

    def step(self, step: int, epoch: int, loss: float, samples: int) -> None:
        """A step was taken; both count from 0."""
        SAMPLES.add(samples, self.model)
        if self.rank:
            return
        LOSS.set(loss, self.model)
        self._losses.append(loss)
        self._samples += samples * self.num_ranks
        if step % STEPS_BETWEEN_LOGS == 0 or step == self.steps - 1:
            self._say(step, epoch, loss)

    def epoch(self, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Rank 0 measured an epoch, which counts from 0, on dev; `step` is the next one."""
        if "dev_spearman" in metrics:
            DEV_SPEARMAN.set(metrics["dev_spearman"], self.model)
        told = {name: round(value, 4) for name, value in metrics.items()}
        log.info("%s epoch %d: %s", self.model, epoch + 1, told)
        for track in self._tracks:
            track.numbers(step, {**metrics, "epoch": epoch + 1})
        self._forget()

    def _say(self, step: int, epoch: int, loss: float) -> None:
        log.info("%s step %d of %d, epoch %d, loss %.4f", self.model, step, self.steps, epoch + 1, loss)
        passed_s = max(self._clock() - self._since, 1e-9)
        numbers = {
            "epoch": epoch + 1,
            "loss": sum(self._losses) / len(self._losses),
            "samples_per_second": self._samples / passed_s,
        }
        for track in self._tracks:
            track.numbers(step, numbers)
        self._forget()

    def _forget(self) -> None:
        """Begin a new stretch: an evaluation's time is no training's."""
        self._losses, self._samples, self._since = [], 0, self._clock()
