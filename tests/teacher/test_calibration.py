"""Temperature scaling."""

import numpy as np
import pytest

from pinrank.levels import probabilities
from pinrank.teacher.calibration import LEAST_LOCALE_PAIRS, Calibration, fit_calibration, temperature_of

RANDOM = np.random.default_rng(0)


def judged(count: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and levels drawn from the distribution that they give at temperature 1 / sharpness."""
    logits_NL = RANDOM.normal(size=(count, 5)) * 2
    graded_NL = probabilities(logits_NL)
    levels_N = np.array([RANDOM.choice(5, p=row) + 1 for row in graded_NL])
    return logits_NL * sharpness, levels_N


def test_the_temperature_undoes_overconfidence():
    logits_NL, levels_N = judged(4000, sharpness=3.0)
    assert temperature_of(logits_NL, levels_N) == pytest.approx(3.0, rel=0.1)


def test_calibration_lowers_the_error_of_an_overconfident_teacher():
    logits_NL, levels_N = judged(4000, sharpness=3.0)
    found = fit_calibration(logits_NL, levels_N, np.full(4000, "en"))
    assert found.ece_before is not None and found.ece_after is not None
    assert found.ece_before > 0.15 and found.ece_after < 0.03


def test_a_locale_has_its_own_temperature_only_when_it_has_enough_pairs():
    sharp, blunt = judged(LEAST_LOCALE_PAIRS, 2.0), judged(LEAST_LOCALE_PAIRS - 1, 0.5)
    logits_NL, levels_N = (np.concatenate(columns) for columns in zip(sharp, blunt, strict=True))
    locales_N = np.array(["en"] * LEAST_LOCALE_PAIRS + ["de"] * (LEAST_LOCALE_PAIRS - 1))
    found = fit_calibration(logits_NL, levels_N, locales_N)
    assert list(found.by_locale) == ["en"]
    assert found.temperatures(np.array(["en", "de", ""])).tolist() == [
        found.by_locale["en"],
        found.temperature,
        found.temperature,
    ]


def test_an_uncalibrated_teacher_keeps_its_logits():
    assert Calibration().temperatures(np.array(["en"])).tolist() == [1.0]
