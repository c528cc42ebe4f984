"""The student's calibration: temperature, and a bias only where dev shows that it helps."""

from pathlib import Path

import numpy as np
import pytest

from pinrank.errors import ModelError
from pinrank.levels import probabilities, score
from pinrank.student.calibration import CALIBRATION_FILE, LEAST_PAIRS, LevelCalibration, fit, fit_bias

BIAS_L = np.array([0.8, -0.6, 0.0, -0.7, 0.5])


def judged(num_pairs: int, sharpness: float, bias_L: np.ndarray | float = 0.0) -> tuple[np.ndarray, ...]:
    """Logits that are too sharp and lack a bias, levels drawn from what they should be, and queries of two pairs."""
    random = np.random.default_rng(0)
    true_NL = random.normal(size=(num_pairs, 5)) * 2
    levels_N = np.array([random.choice(5, p=row) + 1 for row in probabilities(true_NL)])
    return (true_NL - bias_L) * sharpness, levels_N, np.arange(num_pairs) // 2


def test_a_temperature_alone_is_kept_where_no_level_is_over_or_underrated() -> None:
    found = fit(*judged(2000, sharpness=3.0))
    assert found.temperature == pytest.approx(3.0, rel=0.15)
    assert found.bias == (0.0,) * 5
    assert found.ece_before is not None and found.ece_after is not None and found.loss_before is not None
    assert found.ece_before > 0.15 and found.ece_after < 0.05
    assert found.loss_temperature is not None and found.loss_temperature < found.loss_before


def test_a_temperature_that_held_out_queries_do_not_gain_by_is_left_out() -> None:
    found = fit(*judged(150, sharpness=1.0))
    assert found.loss_temperature is not None and found.loss_before is not None
    assert (found.temperature == 1.0) == (found.loss_temperature >= found.loss_before)
    assert found.temperature == 1.0 and found.num_pairs == 150 and found.ece_after == found.ece_before


def test_a_bias_is_added_where_held_out_queries_show_that_it_helps() -> None:
    found = fit(*judged(4000, sharpness=2.0, bias_L=BIAS_L))
    assert found.temperature == pytest.approx(2.0, rel=0.15)
    np.testing.assert_allclose(found.bias, BIAS_L, atol=0.2)
    assert found.loss_bias is not None and found.loss_temperature is not None
    assert found.loss_bias < found.loss_temperature


def test_a_level_that_dev_lacks_stays_possible() -> None:
    logits_NL, levels_N, _ = judged(500, sharpness=1.0)
    without = levels_N != 2
    bias = fit_bias(logits_NL[without], levels_N[without]).bias
    assert bias[1] == 0.0 and sum(bias) == pytest.approx(0.0)
    assert max(bias) < 0.5


def test_few_pairs_change_nothing() -> None:
    few = LEAST_PAIRS - 1
    logits_NL, levels_N, queries_N = judged(few, sharpness=3.0)
    assert fit(logits_NL, levels_N, queries_N) == LevelCalibration()
    assert fit(np.zeros((200, 5)), np.full(200, 3), np.arange(200)) == LevelCalibration()


def test_equal_logits_stay_equal_and_a_temperature_keeps_the_most_likely_level() -> None:
    logits_NL = np.repeat(np.random.default_rng(1).normal(size=(3, 5)), 2, axis=0).astype(np.float32)
    scores_N = score(LevelCalibration(temperature=1.7, bias=tuple(BIAS_L)).probabilities(logits_NL))
    assert scores_N[0::2].tolist() == scores_N[1::2].tolist()
    cooled_NL = LevelCalibration(temperature=1.7).probabilities(logits_NL)
    assert cooled_NL.argmax(axis=1).tolist() == logits_NL.argmax(axis=1).tolist()


def test_what_was_saved_is_opened_and_anything_else_refused(tmp_path: Path) -> None:
    calibration = fit(*judged(300, sharpness=2.0))
    calibration.save(tmp_path)
    assert LevelCalibration.open(tmp_path) == calibration
    (tmp_path / CALIBRATION_FILE).write_text('{"temperature": 0}')
    with pytest.raises(ModelError, match="no calibration of a student"):
        LevelCalibration.open(tmp_path)
