"""From a query's vector and candidates to the probabilities of the five levels.

D vector, N documents, L = 5 levels.
"""

import asyncio

import numpy as np
from numpy.typing import NDArray

from pinrank.student.export import StudentBundle
from pinrank.student.values import Known, Values
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.one_student import open_bound
from serve_apps.rerank.settings import RerankSettings

NOTHING = Values(1)


class Ranker:
    """Deployment: lexical features and the student's MLP in numpy."""

    def __init__(self, settings: RerankSettings, student_version: str) -> None:
        self.bundle = open_bound(settings.student, student_version)

    async def grade(
        self, query: str, query_D: NDArray[np.float32], known: Values, *groups: Candidates
    ) -> list[NDArray[np.float64]]:
        """probabilities_NL of each group of candidates; known: what the request says of the query, one row."""
        return await asyncio.to_thread(lambda: [grade(self.bundle, query, query_D, group, known) for group in groups])

    async def version(self) -> str:
        """The student that grades here."""
        return self.bundle.version


def grade(
    bundle: StudentBundle,
    query: str,
    query_D: NDArray[np.float32],
    candidates: Candidates,
    query_values: Values = NOTHING,
) -> NDArray[np.float64]:
    """probabilities_NL of the candidates; the line of a pin that was not found means nothing."""
    known = Known(query_values, candidates.pairs)
    features_NF = bundle.features(query, candidates.terms, candidates.rows_NR, known)
    return bundle.calibration.probabilities(bundle.logits(query_D, candidates.rows_NR, features_NF, known))
