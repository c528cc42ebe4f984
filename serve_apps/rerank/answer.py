"""From graded groups of documents to the answer. N documents, L = 5 levels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pinrank.levels import NUM_LEVELS, expected_level, most_likely_level, score
from serve_apps.rerank.messages import Explained, Meta, RerankRequest, RerankResponse, Result

if TYPE_CHECKING:
    from pinrank.student.explanation import Explanation
    from serve_apps.rerank.asked import Ranked

DECIMALS = 6
"""Figures are rounded here, in the answer and before sorting: the last bits of a matrix product depend on where a row
lies in it, and equal documents must tie."""


@dataclass(frozen=True)
class GradedGroup:
    """Documents that were graded together: positions_G in the request, probabilities_GL, and found_G.

    looked_up: they were looked up by id, so that found_G says which of them are pins. probabilities_GL None: only their
    words were there to go by, which scored them by_words_G in [0, 1).
    """

    positions_G: NDArray[np.intp]
    probabilities_GL: NDArray[np.float64] | None
    found_G: NDArray[np.bool_]
    looked_up: bool
    by_words_G: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class GradedDocuments:
    """All documents in the order of the request.

    graded_N False: the student did not grade the document, its line is all level 1. by_words_N: its score in [0, 1)
    where its words alone decide, else NaN. found: None where no id was asked for, or nobody could look.
    """

    probabilities_NL: NDArray[np.float64]
    graded_N: NDArray[np.bool_]
    by_words_N: NDArray[np.float64]
    found: list[bool | None]

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """Scores in [0, 1] to DECIMALS, float64[N]: the student's, or those of the words; 0 where there is neither."""
        others_N = np.nan_to_num(self.by_words_N)
        return np.round(np.where(self.graded_N, score(self.probabilities_NL), others_N), DECIMALS)


def join(groups: Sequence[GradedGroup], num_documents: int) -> GradedDocuments:
    """Groups, a later one over an earlier one, in the order of the request."""
    probabilities_NL = np.zeros((num_documents, NUM_LEVELS))
    probabilities_NL[:, 0] = 1.0
    graded_N = np.zeros(num_documents, dtype=bool)
    by_words_N = np.full(num_documents, np.nan)
    found_N = np.full(num_documents, None, dtype=object)
    for group in groups:
        positions = group.positions_G[group.found_G]
        if group.probabilities_GL is not None:
            probabilities_NL[positions] = group.probabilities_GL[group.found_G]
            graded_N[positions] = True
        elif group.by_words_G is not None:
            by_words_N[positions] = group.by_words_G[group.found_G]
        if group.looked_up:
            found_N[group.positions_G] = group.found_G
    return GradedDocuments(probabilities_NL, graded_N, by_words_N, found_N.tolist())


def ranking(graded: GradedDocuments) -> NDArray[np.intp]:
    """Positions, best first: the graded ones by score, then those that words scored, then the others; equals in the
    order given."""
    worse_N = np.where(graded.graded_N, 0.0, np.where(np.isnan(graded.by_words_N), 4.0, 2.0))
    return np.argsort(worse_N - graded.scores, kind="stable")


def answer(request: RerankRequest, ranked: "Ranked", request_id: str) -> RerankResponse:
    """The answer in Cohere's form to a request whose documents are graded."""
    best = ranking(ranked.graded)[: request.top_n]
    return {"id": request_id, "results": results(request, ranked, best), "meta": meta(ranked)}


def meta(ranked: "Ranked") -> Meta:
    """Who graded, how completely and how fast."""
    stage_ms = ranked.stage_ms
    told: Meta = {
        "api_version": {"version": "2"},
        "model": ranked.model,
        "not_graded": int(np.count_nonzero(~ranked.graded.graded_N)),
        "stage_ms": {
            "encode": stage_ms.get("encode", 0.0),
            "candidates": stage_ms.get("candidates", 0.0),
            "rank": stage_ms.get("rank", 0.0),
        },
    }
    if ranked.degraded is not None:
        told["degraded"] = ranked.degraded
    return told


def results(request: RerankRequest, ranked: "Ranked", best: NDArray[np.intp]) -> list[Result]:
    """The documents at these positions, in this order, with what the request asks of them."""
    graded = ranked.graded
    order, scores = best.tolist(), graded.scores[best].tolist()
    told: list[Result] = [
        {"index": position, "relevance_score": score} for position, score in zip(order, scores, strict=True)
    ]
    for result, position in zip(told, order, strict=True):
        if (found := graded.found[position]) is not None:
            result["found"] = found
    if request.return_documents:
        for result, position in zip(told, order, strict=True):
            document = request.documents[position]
            result["document"] = {"text": document} if isinstance(document, str) else document
    if request.return_levels:
        _add_levels(told, levels(graded, best))
    if ranked.explained:
        for result, position in zip(told, order, strict=True):
            if position in ranked.explained:
                result["explanation"] = explanation_of(ranked.explained[position])
    return told


@dataclass(frozen=True)
class Levels:
    """Of each document: the likeliest level, the expected one and the five probabilities; None when not graded."""

    likeliest: list[int | None]
    expected: list[float | None]
    probabilities: list[list[float] | None]


def levels(graded: GradedDocuments, best: NDArray[np.intp]) -> Levels:
    """The levels of the documents at these positions, in this order."""
    probabilities_NL, graded_N = graded.probabilities_NL[best], graded.graded_N[best].tolist()

    def where_graded(column: NDArray[Any]) -> list[Any]:
        return [value if is_graded else None for value, is_graded in zip(column.tolist(), graded_N, strict=True)]

    return Levels(
        where_graded(np.asarray(most_likely_level(probabilities_NL))),
        where_graded(np.round(expected_level(probabilities_NL), DECIMALS)),
        where_graded(np.round(probabilities_NL, DECIMALS)),
    )


def _add_levels(told: Sequence[Result], levels: Levels) -> None:
    columns = zip(levels.likeliest, levels.expected, levels.probabilities, strict=True)
    for result, (likeliest, expected, probabilities) in zip(told, columns, strict=True):
        if likeliest is not None and expected is not None and probabilities is not None:
            result["level"], result["expected_level"], result["probabilities"] = likeliest, expected, probabilities


def explanation_of(explanation: "Explanation") -> Explained:
    """An explanation as answers give it."""
    return {
        "base": round(explanation.base, DECIMALS),
        "contributions": _rounded(explanation.contributions),
        "features": {
            name: None if value is None else round(value, DECIMALS) for name, value in explanation.values.items()
        },
    }


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(number, DECIMALS) + 0.0 for name, number in numbers.items()}  # no -0.0
