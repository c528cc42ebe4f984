"""POST /v1/embeddings: the student's vectors of queries, pins and boards, in OpenAI's form. N texts, D vector."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from pinrank.distinct import distinct
from pinrank.embeddings.boards import unit
from pinrank.errors import ModelError
from pinrank.student.export import StudentBundle, max_pin_tokens
from pinrank.text import tidy
from serve_apps.rerank.jina import Usage, usage
from serve_apps.rerank.messages import Count, Texts

Kind = Literal["query", "pin", "board"]

KINDS: dict[str, Kind] = {
    "query": "query",
    "search_query": "query",
    "pin": "pin",
    "search_document": "pin",
    "board": "board",
}
"""What input_type may say, Cohere's names among them, and which tower reads the text."""

InputType = Literal["query", "pin", "board", "search_query", "search_document"]


class EmbeddingsRequest(BaseModel):
    """What POST /v1/embeddings reads: the form of OpenAI's clients, with input_type added."""

    model_config = ConfigDict(strict=True)

    input: Texts
    model: str = Field("query", description="what follows its last / may name the kind of text, as input_type does")
    input_type: InputType | None = Field(None, description="query (without it, and without one in model), pin or board")
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="base64: of the vector's float32, little-endian"
    )
    dimensions: Count | None = Field(None, description="cut to a width that the student was trained for")


class Embedding(TypedDict):
    """A text's vector."""

    object: Literal["embedding"]
    index: Annotated[int, Field(description="its position in the request, from 0")]
    embedding: Annotated[list[float] | str, Field(description="of length 1")]


class EmbeddingsResponse(TypedDict):
    """What POST /v1/embeddings answers, in the order of the request."""

    object: Literal["list"]
    data: list[Embedding]
    model: Annotated[str, Field(description="version of the student, and the kind of text: NAME@HASH/KIND")]
    usage: Usage


@dataclass(frozen=True)
class Embedded:
    """Vectors of length 1, float32[N, D], and how many tokens were read."""

    vectors_ND: NDArray[np.float32]
    num_tokens: int


def kind_of(request: EmbeddingsRequest) -> Kind:
    """Which tower reads the texts."""
    return KINDS[request.input_type] if request.input_type else KINDS.get(request.model.rpartition("/")[2], "query")


def texts_of(request: EmbeddingsRequest) -> list[str]:
    """The texts, one or many."""
    return [request.input] if isinstance(request.input, str) else request.input


def embed(bundle: StudentBundle, kind: Kind, texts: Sequence[str], dimensions: int | None) -> Embedded:
    """Vectors of texts as the student's towers give them: a board's is that of a pin which has nothing but its title.

    dimensions None: as many as the rows of the pin store have. Equal texts are encoded once. Raises ModelError when the
    student was not trained for so many.
    """
    card, width = bundle.card, dimensions or bundle.vector_dim
    if width not in (*card.dims, card.vector_dim):
        known = ", ".join(map(str, sorted((*card.dims, card.vector_dim))))
        raise ModelError(f"dimensions: the student was trained for {known}, not {width}")
    tidied = [tidy(text) for text in texts]
    once, which_N = distinct(bundle.pin_texts([{"title": title} for title in tidied]) if kind == "board" else tidied)
    of_query = kind == "query"
    encoder = bundle.query_encoder if of_query else bundle.pin_encoder
    tokens = encoder.tokens(once, bundle.text.max_query_tokens if of_query else max_pin_tokens(bundle.text))
    vectors_UD = encoder.encode_ids(tokens, "float32" if of_query else "auto")
    return Embedded(unit(vectors_UD[:, :width])[which_N], sum(len(tokens[which]) for which in which_N.tolist()))


def embeddings_answer(request: EmbeddingsRequest, embedded: Embedded, version: str) -> EmbeddingsResponse:
    """The answer in OpenAI's form."""
    data: list[Embedding] = [
        {"object": "embedding", "index": place, "embedding": written(vector_D, request.encoding_format)}
        for place, vector_D in enumerate(embedded.vectors_ND)
    ]
    model = f"{version}/{kind_of(request)}"
    return {"object": "list", "data": data, "model": model, "usage": usage(embedded.num_tokens)}


def written(vector_D: NDArray[np.float32], encoding_format: Literal["float", "base64"]) -> list[float] | str:
    """A vector as OpenAI's clients read it."""
    if encoding_format == "base64":
        return base64.b64encode(vector_D.astype("<f4").tobytes()).decode()
    numbers: list[float] = vector_D.tolist()
    return numbers
