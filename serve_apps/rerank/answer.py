"""From graded groups of documents to the answer. N documents, L = 5 levels."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pinrank.levels import NUM_LEVELS, expected_level, most_likely_level, score
from serve_apps.rerank.messages import Meta, RerankRequest, RerankResponse, Result, StageTimes

if TYPE_CHECKING:
    from serve_apps.rerank.asked import Ranked

DECIMALS = 6
"""Figures are rounded here, in the answer and before sorting: the last bits of a matrix product depend on where a row
lies in it, and equal documents must tie."""


@dataclass(frozen=True)
class GradedGroup:
    """Documents that were graded together: positions_G in the request, probabilities_GL, and found_G.

    looked_up: they were asked for by id, so that found_G says which of them are pins. probabilities_GL None: only their
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
    found: list[bool | None] = [None] * num_documents
    for group in groups:
        positions = group.positions_G[group.found_G]
        if group.probabilities_GL is not None:
            probabilities_NL[positions] = group.probabilities_GL[group.found_G]
            graded_N[positions] = True
        elif group.by_words_G is not None:
            by_words_N[positions] = group.by_words_G[group.found_G]
        if group.looked_up:
            for position, is_pin in zip(group.positions_G.tolist(), group.found_G.tolist(), strict=True):
                found[position] = is_pin
    return GradedDocuments(probabilities_NL, graded_N, by_words_N, found)


def ranking(graded: GradedDocuments) -> NDArray[np.intp]:
    """Positions, best first: the graded ones by score, then those that words scored, then the others; equals in the
    order given."""
    worse_N = np.where(graded.graded_N, 0.0, np.where(np.isnan(graded.by_words_N), 4.0, 2.0))
    return np.argsort(worse_N - graded.scores(), kind="stable")


def answer(request: RerankRequest, ranked: "Ranked") -> RerankResponse:
    """The answer to a request whose documents are graded."""
    graded = ranked.graded
    scores_N, order = graded.scores(), ranking(graded)[: request.top_n].tolist()
    meta = Meta(
        model=ranked.model,
        degraded=ranked.degraded,
        not_graded=int(np.count_nonzero(~graded.graded_N)),
        stage_ms=StageTimes(**ranked.stage_ms),
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
