"""How much the teacher's probabilities can be believed: temperature scaling (Guo, Pleiss, Sun, Weinberger 2017).

Letters: N pairs, L = 5 levels.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.evaluation.metrics import expected_calibration_error
from pinrank.levels import probabilities

LEAST_LOCALE_PAIRS = 500
"""Dev pairs that a query locale needs for a temperature of its own."""

RANGE = (0.05, 20.0)
"""Where the temperature is looked for."""


class Calibration(BaseModel):
    """Temperatures fitted on dev, and the expected calibration error on the same pairs before and after."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(1.0, gt=0, description="divides the logits")
    by_locale: dict[str, float] = Field({}, description="of locales with enough dev pairs, in place of temperature")
    ece_before: float | None = None
    ece_after: float | None = None
    num_pairs: int = 0

    def temperatures(self, locales_N: NDArray[np.str_]) -> NDArray[np.float64]:
        """The temperature of each pair, by its query's locale: float64[N]."""
        return np.asarray([self.by_locale.get(str(locale), self.temperature) for locale in locales_N], dtype=np.float64)

    def calibrated(self, logits_NL: NDArray[np.floating], locales_N: NDArray[np.str_]) -> NDArray[np.float64]:
        """Logits whose softmax are the calibrated probabilities, float64[N, 5]."""
        return np.asarray(logits_NL / self.temperatures(locales_N)[:, None], dtype=np.float64)


def fit_calibration(
    logits_NL: NDArray[np.floating], levels_N: NDArray[np.int64], locales_N: NDArray[np.str_]
) -> Calibration:
    """Fit on dev pairs: one temperature for all, and one for each locale with LEAST_LOCALE_PAIRS of them."""
    names, counts = np.unique(locales_N, return_counts=True)
    chosen = [str(name) for name, count in zip(names, counts, strict=True) if name and count >= LEAST_LOCALE_PAIRS]
    by_locale = {name: temperature_of(logits_NL[locales_N == name], levels_N[locales_N == name]) for name in chosen}
    found = Calibration(temperature=temperature_of(logits_NL, levels_N), by_locale=by_locale)
    before_NL, after_NL = probabilities(logits_NL), probabilities(found.calibrated(logits_NL, locales_N))
    return found.model_copy(
        update={
            "ece_before": float(expected_calibration_error(levels_N, before_NL)),
            "ece_after": float(expected_calibration_error(levels_N, after_NL)),
            "num_pairs": len(levels_N),
        }
    )


def temperature_of(logits_NL: NDArray[np.floating], levels_N: NDArray[np.int64]) -> float:
    """The temperature in RANGE whose softmax gives the human levels the largest likelihood."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        graded_NL = probabilities(logits_NL, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(graded_NL[np.arange(len(levels_N)), levels_N - 1], 1e-12)).mean())

    low, high = np.log(RANGE)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))
