"""What several seeds of a row become."""

import numpy as np

from pinrank.evaluation.comparison import BootstrapSettings
from pinrank.evaluation.report import Measured
from pinrank.evaluation.student_trial import mean_over_seeds

SETTINGS = BootstrapSettings(num_resamples=400)


def test_one_seed_stays_as_it_is() -> None:
    values_R = np.random.default_rng(0).random(400)
    found = mean_over_seeds([{"row": {"qwk": Measured(0.5, values_R)}}], SETTINGS)
    assert found["row"]["qwk"].value == 0.5
    np.testing.assert_array_equal(found["row"]["qwk"].values_R, values_R)


def test_an_interval_holds_what_another_seed_would_have_changed() -> None:
    seeds = [{"row": {"qwk": Measured(value, np.full(400, value))}} for value in (0.2, 0.4, 0.9)]
    measured = mean_over_seeds(seeds, SETTINGS)["row"]["qwk"]
    assert measured.value == 0.5
    assert measured.values_R.min() == 0.2 and measured.values_R.max() == 0.9
    assert abs(measured.values_R.mean() - 0.5) < 0.03


def test_rows_are_drawn_alike_so_that_a_gain_in_every_seed_is_sure() -> None:
    seeds = [
        {row: {"qwk": Measured(x, np.full(400, x))} for row, x in rows}
        for rows in ((("a", 0.2), ("b", 0.21)), (("a", 0.9), ("b", 0.91)))
    ]
    found = mean_over_seeds(seeds, SETTINGS)
    np.testing.assert_allclose(found["b"]["qwk"].values_R - found["a"]["qwk"].values_R, 0.01)
