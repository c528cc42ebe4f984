"""How well vectors find what belongs together, in tasks that nobody trained them for.

A task is a number of groups: the pins of a board, the pins that people found relevant for one query, the queries for
which people found one pin relevant. One item of a group is its seed; all candidates are ranked by their cosine with the
seed, and those that share any group with it should come first.

Letters: S seeds, C candidates, D vector, R resamples.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pinrank.evaluation import metrics, significance
from pinrank.evaluation.comparison import BootstrapSettings, Measures
from pinrank.evaluation.report import Measured
from pinrank.keys import Ints, hashes

Floats = NDArray[np.float64]

BLOCK = 256
"""Seeds whose candidates are ranked at once."""


@dataclass(frozen=True)
class Grouping:
    """Which items belong together: group → its items; `others` are only looked through."""

    name: str
    side: str  # "pin" or "query": what the items are
    groups: Mapping[str, Collection[str]]
    others: Collection[str] = ()


@dataclass(frozen=True)
class Retrieval:
    """What is looked for: a seed a group, and the candidates that share a group with it."""

    name: str
    side: str
    candidates: tuple[str, ...]
    seeds_S: Ints  # places among the candidates
    relevant: tuple[Ints, ...]  # places of what shares a group with each seed, the seed itself left out

    @property
    def num_relevant(self) -> int:
        """(seed, relevant candidate) pairs."""
        return sum(len(each) for each in self.relevant)


def retrieval_of(grouping: Grouping, max_groups: int, max_candidates: int) -> Retrieval | None:
    """What is measured of a grouping; None when no group has two items.

    Groups, their seeds and the candidates are chosen by hash, so that the same data give the same task. All items of
    the chosen groups are candidates, then others up to `max_candidates`.
    """
    groups = {name: set(items) for name, items in grouping.groups.items() if len(set(items)) > 1}
    if not groups:
        return None
    chosen = _by_hash(groups)[:max_groups]
    members = set().union(*(groups[name] for name in chosen))
    rest = set().union(grouping.others, *groups.values()) - members
    candidates = sorted([*members, *_by_hash(rest)[: max(0, max_candidates - len(members))]])
    place = {item: number for number, item in enumerate(candidates)}
    beside: dict[str, set[str]] = {}
    for items in groups.values():
        for item in items & place.keys():
            beside.setdefault(item, set()).update(items & place.keys())
    seeds = [_by_hash(groups[name])[0] for name in chosen]
    relevant = (sorted(place[item] for item in beside[seed] - {seed}) for seed in seeds)
    return Retrieval(
        grouping.name,
        grouping.side,
        tuple(candidates),
        np.asarray([place[seed] for seed in seeds], dtype=np.int64),
        tuple(np.asarray(each, dtype=np.int64) for each in relevant),
    )


def measure(
    task: Retrieval, vectors: Mapping[str, NDArray[np.floating]], ks: Sequence[int], settings: BootstrapSettings
) -> Measures:
    """`recall@K` and `nDCG@K` of each system (name → vectors_CD in the order of the candidates), resampled by group."""
    counts_RS = significance.resamples(len(task.seeds_S), settings.num_resamples, settings.seed)
    found: Measures = {}
    for system, vectors_CD in vectors.items():
        by_seed = {name: values_S for k in ks for name, values_S in values(task, vectors_CD, k).items()}
        found[system] = {
            name: Measured(float(values_S.mean()), metrics.mean(values_S, counts_RS))
            for name, values_S in by_seed.items()
        }
    return found


def values(task: Retrieval, vectors_CD: NDArray[np.floating], k: int) -> dict[str, Floats]:
    """Each seed's recall@k and nDCG@k, float64[S].

    recall@k is the share of a seed's relevant candidates among the first k, of k where it has more than k. A relevant
    candidate's rank counts the others that are no worse: a tie with one that is not relevant counts against it, so that
    vectors that say nothing (an id without one is all zeros) get nothing.
    """
    unit_CD = _unit(vectors_CD)
    recall_S, ndcg_S = np.zeros(len(task.seeds_S)), np.zeros(len(task.seeds_S))
    for start in range(0, len(task.seeds_S), BLOCK):
        seeds_B = task.seeds_S[start : start + BLOCK]
        scores_BC = unit_CD[seeds_B] @ unit_CD.T
        for row, seed in enumerate(seeds_B, start=start):
            ranks = _ranks(scores_BC[row - start], int(seed), task.relevant[row])
            most = min(k, len(ranks))
            recall_S[row] = (ranks < k).sum() / most
            ndcg_S[row] = (1 / np.log2(ranks[ranks < k] + 2.0)).sum() / (1 / np.log2(np.arange(most) + 2.0)).sum()
    return {f"recall@{k}": recall_S, f"nDCG@{k}": ndcg_S}


def _ranks(scores_C: NDArray[np.floating], seed: int, relevant: Ints) -> Ints:
    """The ranks from 0 of the relevant candidates, the best first."""
    is_other_C = np.ones(len(scores_C), dtype=bool)
    is_other_C[[seed, *relevant]] = False
    others = np.sort(scores_C[is_other_C])
    best_first = -np.sort(-scores_C[relevant])
    above = len(others) - np.searchsorted(others, best_first, side="left")
    return np.asarray(above + np.arange(len(relevant)), dtype=np.int64)


def _unit(vectors_CD: NDArray[np.floating]) -> NDArray[np.float32]:
    wide_CD = np.asarray(vectors_CD, dtype=np.float32)
    lengths_C1 = np.linalg.norm(wide_CD, axis=1, keepdims=True)
    return np.asarray(wide_CD / np.where(lengths_C1 > 0, lengths_C1, 1.0), dtype=np.float32)


def _by_hash(names: Collection[str]) -> list[str]:
    """The names in an order that only their own hashes decide."""
    ordered = sorted(names)
    return [ordered[place] for place in np.argsort(hashes(ordered, 0), kind="stable")]
