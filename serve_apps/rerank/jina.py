"""POST /v1/rerank: the form of Jina's and vLLM's clients."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from serve_apps.rerank.answer import meta, ranking, results
from serve_apps.rerank.asked import Ranked
from serve_apps.rerank.messages import WHOLE, Meta, RerankRequest, Result


class JinaRequest(RerankRequest):
    """What POST /v1/rerank reads: as /v2/rerank, but documents come back unless told otherwise."""

    return_documents: bool = Field(True, description="repeat every document in its result")
    top_n: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        None, description="how many results to return; all without it, or with 0"
    )


class Usage(TypedDict):
    """What a service that sells tokens would count."""

    prompt_tokens: Annotated[int, Field(description="tokens of the query and of documents that came as texts")]
    total_tokens: int


class JinaResponse(TypedDict):
    """What POST /v1/rerank answers: the results, best first, equals in the order of the request."""

    id: Annotated[str, Field(description="the request's id")]
    model: Annotated[str, Field(description="version of the student")]
    object: Literal["list"]
    usage: Usage
    results: list[Result]
    meta: Meta


def usage(num_tokens: int) -> Usage:
    """So many tokens were read, and none written."""
    return {"prompt_tokens": num_tokens, "total_tokens": num_tokens}


def jina_answer(request: JinaRequest, ranked: Ranked, request_id: str, num_tokens: int) -> JinaResponse:
    """The answer in Jina's form to a request whose documents are graded."""
    best = ranking(ranked.graded)[: request.top_n or None]
    return {
        "id": request_id,
        "model": ranked.model,
        "object": "list",
        "usage": usage(num_tokens),
        "results": results(request, ranked, best),
        "meta": meta(ranked),
    }
