import numpy as np

from pinrank.teacher.examples import Tokenised
from pinrank.teacher.phases import phases_of
from pinrank.teacher.settings import TeacherSettings
from pinrank.teacher.tokens import Prompt


def pairs(number: int) -> Tokenised:
    zeros = np.zeros(number)
    names = np.full(number, "words")
    return Tokenised([Prompt([1], 1)] * number, zeros.astype(int), np.zeros((number, 5)), zeros, names, names)


def test_weak_pairs_come_first_and_steps_are_numbered_through() -> None:
    settings = TeacherSettings(epochs=2, weak_epochs=3, batch_size=4, learning_rate=1e-5, weak_learning_rate=1e-3)
    weak, judged = phases_of(settings, pairs(10), pairs(7), num_ranks=1)
    assert (weak.epochs, judged.epochs) == (range(0, 3), range(3, 5))
    assert (weak.steps_per_epoch, judged.steps_per_epoch) == (3, 2)
    assert (weak.first_step, judged.first_step) == (0, 9)
    assert judged.first_step_of(4) == 11
    assert (weak.learning_rate, judged.learning_rate) == (1e-3, 1e-5)
    assert (weak.judged, judged.judged) == (False, True)


def test_without_weak_pairs_or_epochs_for_them_there_is_one_phase() -> None:
    for settings, weak in ((TeacherSettings(), pairs(0)), (TeacherSettings(weak_epochs=0), pairs(9))):
        (only,) = phases_of(settings, weak, pairs(7), num_ranks=1)
        assert only.judged and only.first_step == 0


def test_accumulated_batches_and_ranks_share_the_steps() -> None:
    settings = TeacherSettings(batch_size=2, accumulation=2, epochs=1)
    (only,) = phases_of(settings, pairs(0), pairs(20), num_ranks=2)
    assert only.steps == 3  # 10 batches, 5 a rank, 2 a step
