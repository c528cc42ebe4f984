"""Half precision to single."""

import numpy as np

from pinrank.widen import widened


def test_every_half_is_the_same_number_as_single() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(widened(halves), halves.astype(np.float32))
    finite = halves[np.isfinite(halves)]
    np.testing.assert_array_equal(widened(finite).view(np.uint32), finite.astype(np.float32).view(np.uint32))


def test_shapes_and_gaps_between_rows_are_kept() -> None:
    halves = np.random.default_rng(0).standard_normal((7, 12)).astype(np.float16)
    for part in (halves, halves[:, 3:9], halves[:, :0], halves[:0], halves[::2].T):
        np.testing.assert_array_equal(widened(part), part.astype(np.float32))
