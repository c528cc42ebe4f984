"""The bodies of requests and answers: Cohere's v2 rerank form, with pin ids, levels and flags added."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Document(BaseModel):
    """A document is a pin by its id, a text, or both: then the text stands in where no pin has the id."""

    model_config = ConfigDict(strict=True)

    id: Text | None = None
    text: Text | None = None
    pair_features: dict[str, Any] | None = Field(
        None, description="numbers of this query with this document, by the names in the student's specification"
    )

    @model_validator(mode="after")
    def _has_content(self) -> "Document":
        if self.id is None and self.text is None:
            raise ValueError('a document is a text, {"text": ...} or {"id": ...}')
        return self


def _object_of_a_text(document: Any) -> Any:
    return {"text": document} if isinstance(document, str) else document


class RerankRequest(BaseModel):
    """What POST /v2/rerank reads. Fields that it does not know are ignored, as other rerank servers do."""

    model_config = ConfigDict(strict=True)

    query: Text
    documents: list[Annotated[Document, BeforeValidator(_object_of_a_text, json_schema_input_type=str | Document)]] = (
        Field(min_length=1)
    )
    model: str | None = Field(None, description="accepted from clients that must send it; meta.model says who graded")
    query_locale: str | None = Field(None, max_length=64, description="such as de-DE")
    query_features: dict[str, Any] | None = Field(
        None,
        description="features of the query, by the names in the student's specification: a number, a text, a list of "
        "texts, or a vector; null or absent is missing",
    )
    timeout_ms: float | None = Field(None, gt=0, description="for the answer, degraded rather than late")
    top_n: int | None = Field(None, ge=1, description="how many results to return; all without it")
    return_levels: bool = Field(False, description="add the five probabilities, the expected and the likeliest level")
    return_documents: bool = Field(False, description="repeat every document in its result")


class Result(BaseModel):
    """A document's place in the ranking."""

    index: int = Field(description="its position in the request, from 0")
    relevance_score: float = Field(description="(expected level - 1) / 4, in [0, 1], to 6 decimals; 0 when not graded")
    found: bool | None = Field(None, description="for documents with an id: whether a pin has it")
    level: int | None = Field(None, description="the likeliest level, 1..5")
    expected_level: float | None = Field(None, description="sum of i * p_i, in [1, 5]")
    probabilities: list[float] | None = Field(None, description="of the levels 1..5, in this order")
    document: Document | None = None


class ApiVersion(BaseModel):
    """The version of Cohere's interface that this answer follows."""

    version: str = "2"


class StageTimes(BaseModel):
    """Milliseconds that the request waited for each stage; encoding and candidates run at the same time."""

    encode: float = 0.0
    candidates: float = 0.0
    rank: float = 0.0


class Meta(BaseModel):
    """Who graded, how completely and how fast."""

    api_version: ApiVersion = ApiVersion()
    model: str = Field(description="version of the student")
    degraded: str | None = Field(None, description="the steps that the answer fell back to: text, lexical, input_order")
    not_graded: int = Field(description="how many documents have no known pin and no text")
    stage_ms: StageTimes


class RerankResponse(BaseModel):
    """What POST /v2/rerank answers: the results, best first, equals in the order of the request."""

    id: str
    results: list[Result]
    meta: Meta


class Health(BaseModel):
    """Answer of /health and /ready."""

    status: str
    model: str | None = None


class Model(BaseModel):
    """A model in the list of /v1/models (OpenAI form)."""

    id: str
    object: str = "model"
    owned_by: str = "pinrank"


class ModelList(BaseModel):
    """Answer of /v1/models."""

    object: str = "list"
    data: list[Model]


class ErrorBody(BaseModel):
    """Every answer that is not 2xx."""

    error: str
    error_type: str
