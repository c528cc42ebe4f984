"""What the ingress asks the ranker: a request whose features are checked, for one version."""

from dataclasses import dataclass

from pinrank.student.values import Values
from serve_apps.rerank.asked import Asked


@dataclass(frozen=True)
class Question:
    """A request with its version. query_values: one row; pair_values: a row a document, None where nothing is said.

    budget_ms: what is left for the answer; None is any time. trace: the request's traceparent, where it is sampled.
    """

    version: str
    asked: Asked
    query_values: Values
    pair_values: Values | None
    budget_ms: float | None
    trace: str | None = None
