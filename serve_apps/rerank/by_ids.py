"""POST /v1/rank: many pins by their ids, in columns on the way in and out. N pins, L = 5 levels."""

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from serve_apps.rerank.answer import explanation_of, levels, meta, ranking
from serve_apps.rerank.asked import Asked, Ranked
from serve_apps.rerank.messages import Asking, Explained, Meta, Text
from serve_apps.rerank.problems import Problem


class RankRequest(Asking):
    """What POST /v1/rank reads: a query and ids, with what is known of them in columns."""

    pin_ids: list[Text] = Field(min_length=1)
    pair_features: dict[str, list[Any]] | None = Field(
        None,
        description="numbers of the query with each pin, by the names in the student's specification: a list as long "
        "as pin_ids, with null where it is missing",
    )


class RankResponse(TypedDict):
    """What POST /v1/rank answers: columns, best first, equals in the order of the request."""

    id: Annotated[str, Field(description="the request's id")]
    pin_ids: list[str]
    scores: Annotated[list[float], Field(description="(expected level - 1) / 4, in [0, 1]; 0 when not graded")]
    levels: NotRequired[Annotated[list[int | None], Field(description="the likeliest, 1..5; null when not graded")]]
    expected_levels: NotRequired[Annotated[list[float | None], Field(description="in [1, 5]; null when not graded")]]
    probabilities: NotRequired[
        Annotated[list[list[float] | None], Field(description="of the levels 1..5; null when not graded")]
    ]
    explanations: NotRequired[
        Annotated[list[Explained | None], Field(description="why; null when not graded or not among the best")]
    ]
    not_found: NotRequired[Annotated[list[str], Field(description="ids that no pin has; they come last")]]
    meta: Meta


def asked_of(request: RankRequest, max_explained: int) -> Asked:
    """A request in no particular form. Raises Problem 422 for a column that is not as long as pin_ids."""
    num_pins = len(request.pin_ids)
    for name, column in (request.pair_features or {}).items():
        if len(column) != num_pins:
            message = f"pair_features.{name}: has {len(column)} values for {num_pins} pin_ids"
            raise Problem(422, "invalid_request", message)
    return Asked(
        query=request.query,
        ids=request.pin_ids,
        texts=[None] * num_pins,
        query_locale=request.query_locale,
        query_features=request.query_features,
        pair_features=request.pair_features or {},
        timeout_ms=request.timeout_ms,
        explain=min(max_explained, request.top_n or max_explained) if request.explain else 0,
        top_n=request.top_n,
    )


def rank_answer(request: RankRequest, ranked: Ranked, request_id: str) -> RankResponse:
    """The answer to a request whose pins are graded."""
    graded, best = ranked.graded, ranking(ranked.graded)[: request.top_n]
    told: RankResponse = {
        "id": request_id,
        "pin_ids": [request.pin_ids[position] for position in best.tolist()],
        "scores": graded.scores[best].tolist(),
        "meta": meta(ranked),
    }
    if False in graded.found:
        pins = zip(request.pin_ids, graded.found, strict=True)
        told["not_found"] = [pin_id for pin_id, found in pins if found is False]
    if request.return_levels:
        columns = levels(graded, best)
        told["levels"], told["expected_levels"] = columns.likeliest, columns.expected
        told["probabilities"] = columns.probabilities
    if request.explain:
        explained = [ranked.explained.get(position) for position in best.tolist()]
        told["explanations"] = [None if each is None else explanation_of(each) for each in explained]
    return told
