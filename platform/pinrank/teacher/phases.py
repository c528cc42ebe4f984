"""The stretches of a training run: epochs over weakly graded pairs where there are any, then over the judged ones."""

from dataclasses import dataclass

from pinrank.teacher.batches import num_batches
from pinrank.teacher.examples import Tokenised
from pinrank.teacher.settings import TeacherSettings


@dataclass(frozen=True)
class Phase:
    """Epochs over the same pairs. The learning rate warms up and decays within the phase."""

    pairs: Tokenised
    epochs: range
    first_step: int
    steps_per_epoch: int
    learning_rate: float
    judged: bool

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole phase."""
        return len(self.epochs) * self.steps_per_epoch

    def first_step_of(self, epoch: int) -> int:
        """The number, in the whole run, of an epoch's first step."""
        return self.first_step + (epoch - self.epochs.start) * self.steps_per_epoch


def phases_of(settings: TeacherSettings, weak: Tokenised, judged: Tokenised, num_ranks: int) -> list[Phase]:
    """The phases in order, their epochs and steps numbered through; without weak pairs there is one."""
    stretches = [(judged, settings.epochs, settings.learning_rate)]
    if weak.prompts and settings.weak_epochs:
        stretches.insert(0, (weak, settings.weak_epochs, settings.weak_learning_rate))
    phases: list[Phase] = []
    epoch = step = 0
    for pairs, num_epochs, learning_rate in stretches:
        batches = num_batches(len(pairs.prompts), settings.batch_size, num_ranks)
        epochs, steps_per_epoch = range(epoch, epoch + num_epochs), -(-batches // settings.accumulation)
        phases.append(Phase(pairs, epochs, step, steps_per_epoch, learning_rate, judged=pairs is judged))
        epoch, step = epoch + num_epochs, step + num_epochs * steps_per_epoch
    return phases
