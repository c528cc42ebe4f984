"""Equal things once, so that what is slow is done once for each."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=Hashable)


def distinct(things: Iterable[T]) -> tuple[list[T], NDArray[np.int64]]:
    """The distinct things in order of first appearance, and which of them each thing is, int64[N]."""
    places: dict[T, int] = {}
    which_N = np.asarray([places.setdefault(thing, len(places)) for thing in things], dtype=np.int64)
    return list(places), which_N
