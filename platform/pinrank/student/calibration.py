"""How far the student's probabilities can be believed: a temperature, and a bias a level where dev shows that it helps.

The temperature alone is that of Guo, Pleiss, Sun, Weinberger (2017); with a bias: Alexandari, Kundaje, Shrikumar,
Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation (ICML 2020), section 3.

Letters: N pairs, L = 5 levels.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinrank.errors import ModelError
from pinrank.evaluation.metrics import expected_calibration_error
from pinrank.levels import NUM_LEVELS, probabilities
from pinrank.parquet import one_line
from pinrank.teacher.calibration import temperature_of

CALIBRATION_FILE = "calibration.json"
"""Of whole vectors; that of vectors cut to 64 numbers is calibration-64.json."""

LEAST_PAIRS = 100
"""With fewer dev pairs the logits stay as they are."""

FOLDS = 5
"""Parts of the dev queries on each of which a candidate is measured after being fitted on the others."""

MOST_BIAS = 3.0
"""How far a bias may go before it is centred: a level's odds change by e^3 = 20, also where dev has few pairs of it."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Fit = Callable[[Floats, Integers], "LevelCalibration"]


class LevelCalibration(BaseModel):
    """calibrated = logits / temperature + bias, fitted on dev; the figures are of the same pairs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(1.0, gt=0, description="divides the logits")
    bias: tuple[float, ...] = Field(
        (0.0,) * NUM_LEVELS, min_length=NUM_LEVELS, max_length=NUM_LEVELS, description="added after it, L1..L5"
    )
    num_pairs: int = Field(
        0, description="dev pairs that it was fitted on; 0: the logits are as the student gives them"
    )
    ece_before: float | None = Field(None, description="expected calibration error of the student's own probabilities")
    ece_after: float | None = None
    loss_before: float | None = Field(None, description="-ln P(human level), mean")
    loss_temperature: float | None = Field(None, description="of held-out folds, with a temperature alone")
    loss_bias: float | None = Field(None, description="of held-out folds, with a temperature and a bias")

    def calibrated(self, logits_NL: NDArray[np.floating]) -> Floats:
        """Logits whose softmax are the calibrated probabilities, float64[N, 5]; equal rows stay equal."""
        return np.asarray(np.asarray(logits_NL, np.float64) / self.temperature + np.asarray(self.bias), np.float64)

    def probabilities(self, logits_NL: NDArray[np.floating]) -> Floats:
        """Calibrated P(level 1..5), float64[N, 5]."""
        return probabilities(self.calibrated(logits_NL))

    def save(self, folder: Path, dim: int | None = None) -> None:
        """Write the file of whole vectors, or of those cut to `dim` numbers."""
        (folder / file_of(dim)).write_text(self.model_dump_json(indent=1) + "\n")

    @classmethod
    def open(cls, folder: Path, dim: int | None = None) -> "LevelCalibration":
        """Read what `save` wrote. Raises ModelError when it is missing or damaged."""
        path = folder / file_of(dim)
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as cause:
            raise ModelError(f"{path}: no calibration of a student: {one_line(cause)}. Train again.") from cause


def file_of(dim: int | None) -> str:
    """The name of the file of whole vectors, or of those cut to `dim` numbers."""
    return CALIBRATION_FILE if dim is None else CALIBRATION_FILE.replace(".", f"-{dim}.")


def fit(logits_NL: NDArray[np.floating], levels_N: Integers, queries_N: Integers) -> LevelCalibration:
    """Fit on judged dev pairs, and keep what lowers the loss of queries that it was not fitted on.

    The temperature has to lower it at all, the bias beside it by more than two standard errors of the mean over
    queries; otherwise they stay 1 and 0. queries_N numbers the queries.
    """
    if len(levels_N) < LEAST_PAIRS or len(np.unique(levels_N)) < 2 or len(np.unique(queries_N)) < FOLDS:
        return LevelCalibration()
    wide_NL = np.asarray(logits_NL, dtype=np.float64)
    with_temperature, with_bias = (
        held_out_losses(each, wide_NL, levels_N, queries_N) for each in (fit_temperature, fit_bias)
    )
    raw = LevelCalibration()
    raw_N = losses(raw, wide_NL, levels_N)
    plain, plain_N = raw, raw_N
    if with_temperature.mean() < raw_N.mean():
        plain, plain_N = fit_temperature(wide_NL, levels_N), with_temperature
    fitted = fit_bias(wide_NL, levels_N) if is_surely_lower(with_bias, plain_N, queries_N) else plain
    return fitted.model_copy(
        update={
            "num_pairs": len(levels_N),
            "ece_before": float(expected_calibration_error(levels_N, raw.probabilities(wide_NL))),
            "ece_after": float(expected_calibration_error(levels_N, fitted.probabilities(wide_NL))),
            "loss_before": float(raw_N.mean()),
            "loss_temperature": float(with_temperature.mean()),
            "loss_bias": float(with_bias.mean()),
        }
    )


def fit_temperature(logits_NL: Floats, levels_N: Integers) -> LevelCalibration:
    """The temperature of the largest likelihood."""
    return LevelCalibration(temperature=temperature_of(logits_NL, levels_N))


def fit_bias(logits_NL: Floats, levels_N: Integers) -> LevelCalibration:
    """Temperature and bias of the largest likelihood. The biases add up to 0, and a level without a pair has none:
    nothing is known of it, and the likelihood would make it impossible.
    """
    from scipy.optimize import minimize

    truth_NL = np.eye(NUM_LEVELS)[levels_N - 1]
    is_there_L = truth_NL.any(axis=0)

    def centred(values_L: Floats) -> Floats:
        return np.where(is_there_L, values_L - values_L[is_there_L].mean(), 0.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scale = np.exp(parameters[0])
        graded_NL = probabilities(logits_NL * scale + centred(parameters[1:]))
        error_NL = (graded_NL - truth_NL) / len(levels_N)
        gradient = np.append((error_NL * logits_NL).sum() * scale, centred(error_NL.sum(axis=0)))
        return -float(np.log(np.maximum(graded_NL[truth_NL > 0], 1e-12)).mean()), gradient

    start = np.append(-np.log(temperature_of(logits_NL, levels_N)), np.zeros(NUM_LEVELS))
    bounds = [(-3.0, 3.0), *[(-MOST_BIAS, MOST_BIAS)] * NUM_LEVELS]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return LevelCalibration(temperature=float(np.exp(-found[0])), bias=tuple(map(float, centred(found[1:]))))


def losses(calibration: LevelCalibration, logits_NL: Floats, levels_N: Integers) -> Floats:
    """-ln P(human level) of each pair, float64[N]."""
    graded_NL = calibration.probabilities(logits_NL)
    return np.asarray(-np.log(np.maximum(graded_NL[np.arange(len(levels_N)), levels_N - 1], 1e-12)))


def held_out_losses(fit_one: Fit, logits_NL: Floats, levels_N: Integers, queries_N: Integers) -> Floats:
    """The loss of each pair under a calibration that was fitted on the queries of the other folds, float64[N]."""
    fold_of_query = np.random.default_rng(0).permutation(int(queries_N.max()) + 1) % FOLDS
    folds_N = fold_of_query[queries_N]
    found_N = np.zeros(len(levels_N))
    for fold in np.unique(folds_N):
        held_N = folds_N == fold
        others = fit_one(logits_NL[~held_N], levels_N[~held_N])
        found_N[held_N] = losses(others, logits_NL[held_N], levels_N[held_N])
    return found_N


def is_surely_lower(first_N: Floats, second_N: Floats, queries_N: Integers) -> bool:
    """Whether the first loss is lower by more than two standard errors; pairs of a query stand or fall together."""
    gains_Q = np.bincount(queries_N, weights=second_N - first_N)
    gains_Q = gains_Q[np.unique(queries_N)]
    error = gains_Q.std(ddof=1) / len(gains_Q) ** 0.5 if len(gains_Q) > 1 else np.inf
    return bool(gains_Q.mean() > 2 * error)
