"""How many pairs each cell gives. A cell is what a stratum has of a group (fresh, trending, both, the rest)."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import ceil
from typing import TypeVar

from pinrank.sampling.settings import Wanted
from pinrank.sampling.strata import BOTH, FRESH, TRENDING

Cell = tuple[int, str]
"""Group and stratum."""

K = TypeVar("K", str, tuple[int, str])

UNCERTAINTY_UNITS = 1 << 20
"""Squared uncertainties are added up as whole numbers of this fraction, so that the order of adding does not matter."""


@dataclass(frozen=True)
class Content:
    """What a cell holds: pairs, impressions, pairs with an uncertainty, and the sum of their squares in units."""

    pairs: int = 0
    impressions: int = 0
    scored: int = 0
    squares: int = 0

    def __add__(self, other: "Content") -> "Content":
        return Content(
            self.pairs + other.pairs,
            self.impressions + other.impressions,
            self.scored + other.scored,
            self.squares + other.squares,
        )

    def __sub__(self, other: "Content") -> "Content":
        return Content(
            self.pairs - other.pairs,
            self.impressions - other.impressions,
            self.scored - other.scored,
            self.squares - other.squares,
        )


def divide(cells: Mapping[Cell, Content], chosen: Mapping[str, int], size: int, wanted: Wanted) -> dict[Cell, int]:
    """How many pairs each cell gives, `size` in all where there are so many.

    chosen: pairs that each stratum has given already. First every stratum reaches `min_per_stratum` where it has them;
    then what is fresh or trending gets its guarantee where it would not reach it anyway; the rest is divided by the
    cells' measures (`measures`).
    """
    available = {cell: _rated(content.pairs, cell[1], wanted) for cell, content in cells.items()}
    weights = measures(cells, wanted)
    given = _floors(available, chosen, size, wanted.min_per_stratum)
    guarantees = {FRESH: wanted.guarantees.fresh_share, TRENDING: wanted.guarantees.trending_share}
    least = {group: ceil(round(share * wanted.size, 6)) for group, share in guarantees.items()}
    while short := [group for group in least if _of(group, _filled(available, given, size, weights)) < least[group]]:
        group = short[0]
        of_group = {cell: count for cell, count in available.items() if cell[0] in (group, BOTH)}
        already = {cell: given[cell] for cell in of_group}
        room = size - sum(given.values()) + sum(already.values())
        given |= _filled(of_group, already, min(least.pop(group), room), weights)
    return _filled(available, given, size, weights)


def measures(cells: Mapping[Cell, Content], wanted: Wanted) -> dict[Cell, float]:
    """What the rest of the sample is divided by: a cell's pairs, or (Neyman) its pairs times the root mean square of
    their uncertainty; a cell without scores has that of all.

    Optimum allocation: Neyman, On the two different aspects of the representative method, 1934.
    """
    if wanted.rates.kind != "neyman":
        return {cell: float(content.pairs) for cell, content in cells.items()}
    overall = sum(cells.values(), Content())
    spread = {cell: _spread(content if content.scored else overall) for cell, content in cells.items()}
    return {cell: content.pairs * spread[cell] for cell, content in cells.items()}


def allocate(available: Mapping[K, int], size: int, measure: Mapping[K, float] | None = None) -> dict[K, int]:
    """Divide `size` in proportion to a measure (None: to what is available); nobody gives more than it has.

    The parts add up to min(size, all that is available with a measure). Ties go to the cell that sorts first.
    """
    given = dict.fromkeys(available, 0)
    measure = measure or {cell: float(count) for cell, count in available.items()}
    open_cells = sorted(cell for cell in available if available[cell] > 0 and measure[cell] > 0)
    left = min(size, sum(available[cell] for cell in open_cells))
    while left > 0:
        total = sum(measure[cell] for cell in open_cells)
        quotas = {cell: left * measure[cell] / total for cell in open_cells}
        full = [cell for cell in open_cells if quotas[cell] >= available[cell] - given[cell]]
        if not full:
            return given | _rounded(quotas, given, available, left)
        for cell in full:
            left -= available[cell] - given[cell]
            given[cell] = available[cell]
        open_cells = [cell for cell in open_cells if cell not in set(full)]
    return given


def _of(group: int, given: Mapping[Cell, int]) -> int:
    return sum(count for cell, count in given.items() if cell[0] in (group, BOTH))


def _rounded(quotas: Mapping[K, float], given: Mapping[K, int], available: Mapping[K, int], size: int) -> dict[K, int]:
    """Quotas as whole numbers that add up: all are cut, the largest remainders get one more."""
    whole = {cell: int(quota) for cell, quota in quotas.items()}
    short = size - sum(whole.values())
    for cell in sorted(quotas, key=lambda cell: (whole[cell] - quotas[cell], cell)):
        if short and given[cell] + whole[cell] < available[cell]:
            whole[cell] += 1
            short -= 1
    return {cell: given[cell] + count for cell, count in whole.items()}


def _filled(
    available: Mapping[Cell, int], given: Mapping[Cell, int], size: int, weights: Mapping[Cell, float]
) -> dict[Cell, int]:
    """What is given already, and the rest of the size divided by measure among the pairs that are left."""
    left = {cell: available[cell] - given[cell] for cell in available}
    share = {cell: weights[cell] * left[cell] / available[cell] if available[cell] else 0.0 for cell in available}
    more = allocate(left, max(0, size - sum(given.values())), share)
    return {cell: given[cell] + more[cell] for cell in available}


def _floors(available: Mapping[Cell, int], chosen: Mapping[str, int], size: int, floor: int) -> dict[Cell, int]:
    """What the strata give so that each has its floor; when the floors alone exceed the size, they are lowered."""
    of_stratum: dict[str, int] = {}
    for (_, stratum), count in available.items():
        of_stratum[stratum] = of_stratum.get(stratum, 0) + count
    needs = {}
    while True:
        needs = {name: min(max(0, floor - chosen.get(name, 0)), count) for name, count in of_stratum.items()}
        if floor == 0 or sum(needs.values()) <= size:
            break
        floor -= 1
    given: dict[Cell, int] = {}
    for stratum, need in needs.items():
        given |= allocate({cell: count for cell, count in available.items() if cell[1] == stratum}, need)
    return given


def _rated(pairs: int, stratum: str, wanted: Wanted) -> int:
    """How many of its pairs a cell may give."""
    if wanted.rates.kind != "fixed":
        return pairs
    rates = (rate for pattern, rate in wanted.rates.fixed.items() if fnmatchcase(stratum, pattern))
    return round(pairs * next(rates, 0.0))


def _spread(content: Content) -> float:
    if not content.scored:
        return 1.0
    return float((content.squares / UNCERTAINTY_UNITS / content.scored) ** 0.5)
