"""From graded groups of documents to the answer. N documents, L = 5 levels."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pinrank.levels import NUM_LEVELS, expected_level, most_likely_level, score
from serve_apps.rerank.messages import Meta, RerankRequest, RerankResponse, Result, StageTimes

DECIMALS = 6
"""Figures are rounded here, in the answer and before sorting: the last bits of a matrix product depend on where a row
lies in it, and equal documents must tie."""


@dataclass(frozen=True)
class GradedGroup:
    """Documents that were graded together: positions_G in the request, probabilities_GL, and found_G.

    looked_up: they were asked for by id, so that found_G says which of them are pins.
    """

    positions_G: NDArray[np.intp]
    probabilities_GL: NDArray[np.float64]
    found_G: NDArray[np.bool_]
    looked_up: bool


@dataclass(frozen=True)
class GradedDocuments:
    """All documents in the order of the request.

    graded_N False: nothing is known of the document, its line is all level 1. found: None where no id was asked for.
    """

    probabilities_NL: NDArray[np.float64]
    graded_N: NDArray[np.bool_]
    found: list[bool | None]


def join(groups: Sequence[GradedGroup], num_documents: int) -> GradedDocuments:
    """Groups, a later one over an earlier one, in the order of the request."""
    probabilities_NL = np.zeros((num_documents, NUM_LEVELS))
    probabilities_NL[:, 0] = 1.0
    graded_N = np.zeros(num_documents, dtype=bool)
    found: list[bool | None] = [None] * num_documents
    for group in groups:
        positions = group.positions_G[group.found_G]
        probabilities_NL[positions] = group.probabilities_GL[group.found_G]
        graded_N[positions] = True
        if group.looked_up:
            for position, is_pin in zip(group.positions_G.tolist(), group.found_G.tolist(), strict=True):
                found[position] = is_pin
    return GradedDocuments(probabilities_NL, graded_N, found)


def ranking(scores_N: NDArray[np.float64], graded_N: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Positions, best first: the graded ones by score, the others after them, equals in the order given."""
    return np.argsort(np.where(graded_N, -scores_N, np.inf), kind="stable")


def answer(request: RerankRequest, graded: GradedDocuments, model: str, stage_ms: StageTimes) -> RerankResponse:
    """The answer to a request whose documents are graded."""
    scores_N = np.round(score(graded.probabilities_NL), DECIMALS)
    order = ranking(scores_N, graded.graded_N)[: request.top_n].tolist()
    num_ungraded = int(np.count_nonzero(~graded.graded_N))
    meta = Meta(
        model=model,
        degraded="input_order" if num_ungraded else None,
        not_graded=num_ungraded,
        stage_ms=stage_ms,
    )
    results = [_result(request, graded, scores_N, position) for position in order]
    return RerankResponse(id=uuid.uuid4().hex, results=results, meta=meta)


def _result(request: RerankRequest, graded: GradedDocuments, scores_N: NDArray[np.float64], position: int) -> Result:
    result = Result(index=position, relevance_score=float(scores_N[position]), found=graded.found[position])
    if request.return_documents:
        result.document = request.documents[position]
    if request.return_levels and graded.graded_N[position]:
        probabilities_L = graded.probabilities_NL[position]
        result.level = int(most_likely_level(probabilities_L))
        result.expected_level = round(float(expected_level(probabilities_L)), DECIMALS)
        result.probabilities = np.round(probabilities_L, DECIMALS).tolist()
    return result
