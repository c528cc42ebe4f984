"""Why a student gave a score: what each group of its inputs adds to that of a pair of which nothing is known.

A group that is left out is as if nothing of it were known: vectors and their cosine are zero, what the words say is at
its mean over training's pairs, a feature is missing. Left out or not, G groups make 2^G scores, and a group's
contribution is its Shapley value over them (Shapley, "A value for n-person games", 1953): the mean, over all orders in
which the groups can come in, of what the score rises when it does. So

    base + sum of the contributions = score

exactly, a group that changes nothing adds 0, and two that do the same add the same. All 2^G scores are computed, none
is sampled: the groups add up in the MLP's first layer, so that each costs the layers after it alone.

    texts           the vectors of query and pin, their product and cosine
    lexical, counts what the words say, by kind
    query, pin      features of one side, its external embeddings among them; the pin store holds a pin's as one sum
    pair            features of the pair
    external: NAME  the cosine of an external embedding of both sides

Letters: N candidates, G groups, H first hidden layer, F pair features, R row width, L = 5 levels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from pinrank import lexical
from pinrank.levels import score
from pinrank.lexical import FieldTerms
from pinrank.student.declaration import Declaration, SideName
from pinrank.student.export import StudentBundle
from pinrank.student.features import raw_numbers, space_cosines
from pinrank.student.ranker import SideWeights
from pinrank.student.text_features import of_texts
from pinrank.student.values import Floats, Known, Values, nothing

Scores = NDArray[np.float64]

MISSING = ".missing"
"""How the name of a column ends that says whether the one before it is missing."""

MOST_SPACES = 4
"""With more external embeddings of both sides than this their cosines are one group: 2^G scores must stay few."""


@dataclass(frozen=True)
class Explanation:
    """base: the score of a pair of which nothing is known; contributions by group; values of the pair's features by
    their names in the specification, as they were before normalisation, None where missing."""

    base: float
    contributions: Mapping[str, float]
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Sums:
    """The MLP's first layer and shortcut in parts: with every group left out, and what each group adds.

    base_H, base_L; hidden: float32[N, H] or [H] by group; logits: float32[N, L] by group, fewer than hidden has.
    """

    base_H: Floats
    base_L: Floats
    hidden: Mapping[str, Floats]
    logits: Mapping[str, Floats]


def explain(
    bundle: StudentBundle,
    query: str,
    query_D: Floats,
    rows_NR: NDArray[np.floating],
    terms: FieldTerms,
    known: Known = Known(),  # noqa: B008 (frozen)
) -> list[Explanation]:
    """Explanations of one query's scores of N candidates, in their order; arguments as of `StudentBundle.logits`."""
    if not len(terms):
        return []
    features_NF = bundle.features(query, terms, rows_NR, known)
    sums = _sums(bundle, query_D, rows_NR.astype(np.float32), features_NF, known.query)
    groups = list(sums.hidden)
    scores = {chosen: _scores(bundle, sums, chosen, len(terms)) for chosen in subsets(groups)}
    added = shapley(groups, scores)
    base = float(scores[frozenset()][0])
    values = _values(bundle, query, query_D, rows_NR.astype(np.float32), terms, known)
    return [
        Explanation(
            base,
            {group: float(added_N[place]) for group, added_N in added.items()},
            {name: None if np.isnan(values_N[place]) else float(values_N[place]) for name, values_N in values.items()},
        )
        for place in range(len(terms))
    ]


def groups_of(declared: Declaration) -> dict[str, list[str]]:
    """The groups of the pair's features, each with its columns' names without the marks of what is missing."""
    spaces = declared.spaces
    found: dict[str, list[str]] = {
        "lexical": list(declared.lexical_names),
        "counts": list(declared.counts),
        "pair": [f"pair.{name}" for name in declared.pair.numeric],
    }
    if len(spaces) > MOST_SPACES:
        found["external"] = [f"cosine.{name}" for name in spaces]
    else:
        found.update({f"external: {name}": [f"cosine.{name}"] for name in spaces})
    return {group: columns for group, columns in found.items() if columns}


def _sums(bundle: StudentBundle, query_D: Floats, rows: Floats, features_NF: Floats, query: Values) -> Sums:
    ranker, dim = bundle.ranker, bundle.vector_dim
    pins_ND, side_NH = rows[:, :dim], rows[:, dim : dim + bundle.hidden]
    names = bundle.spec.names
    unknown_F = np.asarray([float(name.endswith(MISSING)) for name in names], dtype=np.float32)
    weights_FH, weights_FL = ranker.features_GH[: len(names)], ranker.shortcut_GL[: len(names)]
    base_H, base_L = ranker.bias_H + unknown_F @ weights_FH, unknown_F @ weights_FL

    cosine_N1 = (pins_ND @ query_D - ranker.cosine_centre)[:, None] * ranker.cosine_scale
    product_NH = pins_ND @ ((query_D * dim**0.5)[:, None] * ranker.product_DH)
    texts_NH = query_D @ ranker.query_DH + product_NH + cosine_N1 * ranker.features_GH[-1]
    hidden, logits = {"texts": texts_NH}, {"texts": cosine_N1 * ranker.shortcut_GL[-1]}

    if ranker.query_features is not None:
        unknown_H = _unknown(bundle, "query", ranker.query_features)
        hidden["query"] = ranker.query_features.project(bundle.spec.side("query", query))[0] - unknown_H
        base_H = base_H + unknown_H
    if ranker.pin_features is None:
        hidden["texts"] = hidden["texts"] + side_NH
    else:
        unknown_H = _unknown(bundle, "pin", ranker.pin_features)
        of_texts_NH = pins_ND @ ranker.pin_DH
        hidden["texts"], hidden["pin"] = hidden["texts"] + of_texts_NH, side_NH - of_texts_NH - unknown_H
        base_H = base_H + unknown_H

    for group, columns in groups_of(bundle.spec.declared).items():
        places = [place for place, name in enumerate(names) if name.removesuffix(MISSING) in columns]
        changed_NP = features_NF[:, places] - unknown_F[places]
        hidden[group], logits[group] = changed_NP @ weights_FH[places], changed_NP @ weights_FL[places]
    return Sums(base_H, base_L, hidden, logits)


def _unknown(bundle: StudentBundle, side: SideName, weights: SideWeights) -> Floats:
    """What a side adds of which nothing is known, float32[H]."""
    return np.asarray(weights.project(bundle.spec.side(side, nothing(1)))[0])


def _scores(bundle: StudentBundle, sums: Sums, chosen: frozenset[str], num_candidates: int) -> Scores:
    """The scores of N candidates with some of the groups, float64[N]."""
    hidden = np.broadcast_to(sums.base_H, (num_candidates, len(sums.base_H)))
    logits_NL = np.broadcast_to(sums.base_L, (num_candidates, len(sums.base_L)))
    for group in filter(chosen.__contains__, sums.hidden):  # in one order, so that adding 0 changes no bit
        hidden = hidden + sums.hidden[group]
        logits_NL = logits_NL + sums.logits.get(group, np.float32(0.0))
    for weight, bias in bundle.ranker.layers:
        hidden = np.maximum(hidden, 0.0) @ weight + bias
    return np.asarray(score(bundle.calibration.probabilities(hidden + logits_NL)), dtype=np.float64)


def subsets(groups: Sequence[str]) -> Iterator[frozenset[str]]:
    """Every set of some groups, none of them and all included."""
    for size in range(len(groups) + 1):
        yield from map(frozenset, combinations(groups, size))


def shapley(groups: Sequence[str], scores: Mapping[frozenset[str], Scores]) -> dict[str, Scores]:
    """What each group adds to N scores, float64[N] each; scores: with every set of groups.

    The mean over all orders: over all sets without the group, each weighted by how many orders have just it before.
    """
    orders = factorial(len(groups))
    added = {group: np.zeros_like(scores[frozenset()]) for group in groups}
    for group, added_N in added.items():
        for before in subsets([other for other in groups if other != group]):
            weight = factorial(len(before)) * factorial(len(groups) - len(before) - 1) / orders
            added_N += weight * (scores[before | {group}] - scores[before])
    return added


def _values(
    bundle: StudentBundle, query: str, query_D: Floats, rows: Floats, terms: FieldTerms, known: Known
) -> dict[str, NDArray[np.floating]]:
    """The pair's features before normalisation by name, float[N] each, NaN where missing; the towers' cosine last."""
    declared, num_candidates = bundle.spec.declared, len(terms)
    asked, query_of_pair = [lexical.query_terms(query)], np.zeros(num_candidates, dtype=np.int64)
    texts_NT = of_texts(declared, asked, terms, bundle.stats, query_of_pair)
    found = dict(zip((*declared.lexical_names, *declared.counts), texts_NT.T, strict=True))
    pairs = known.pairs or nothing(num_candidates)
    found |= {f"pair.{name}": raw_numbers(name, False, pairs) for name in declared.pair.numeric}
    pin_NS = rows[:, bundle.vector_dim + bundle.hidden :]
    dims = [bundle.spec.spaces[name].dim for name in declared.spaces]
    cosines = space_cosines(dims, bundle.spec.space_vectors(known.query), pin_NS)
    found |= {
        f"cosine.{name}": np.broadcast_to(each, num_candidates)
        for name, each in zip(declared.spaces, cosines, strict=True)
    }
    return found | {"cosine": rows[:, : bundle.vector_dim] @ query_D}
