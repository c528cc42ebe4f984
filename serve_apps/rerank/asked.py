"""What stands between HTTP and the graph: a request in no particular form, and what the graph answers. N documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pinrank.student.explanation import Explanation
from serve_apps.rerank.answer import GradedDocuments

PairFeatures = Sequence[Mapping[str, Any] | None] | Mapping[str, Sequence[Any]]
"""Of each document by name, or by name of each document."""


@dataclass(frozen=True)
class Asked:
    """A query with N documents as columns; a document is a pin by its id, a text, or both, the text standing in.

    query_features and pair_features as they came, to be checked against the student that answers. timeout_ms: what the
    answer may take. explain: so many of the best are explained. top_n: so many of the best are shown; None: all.
    """

    query: str
    ids: Sequence[str | None]
    texts: Sequence[str | None]
    query_locale: str | None = None
    query_features: Mapping[str, Any] | None = None
    pair_features: PairFeatures = ()
    timeout_ms: float | None = None
    explain: int = 0
    top_n: int | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_texts(self) -> int:
        """Documents that come as text alone, so that they are encoded in the request."""
        return self.ids.count(None)


@dataclass(frozen=True)
class Ranked:
    """The documents graded, in the order asked, and by which version.

    stage_ms: milliseconds that the request waited, by stage. degraded: the steps that the answer fell back to, or None.
    cache: where the query's vector was: held here, in the cache that replicas share, or nowhere; None without one.
    explained: by position, those of the best documents that the student graded.
    """

    graded: GradedDocuments
    model: str
    stage_ms: Mapping[str, float]
    degraded: str | None = None
    cache: Literal["hit", "shared", "miss"] | None = None
    explained: Mapping[int, Explanation] = field(default_factory=dict)
