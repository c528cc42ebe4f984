"""What the rerank requests and answers share, and Cohere's v2 form, with pin ids, levels and flags added.

Answers are typed dictionaries, which become JSON without an object a document. N documents, L = 5 levels.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag, with_config
from typing_extensions import TypedDict  # pydantic reads that of typing from Python 3.12 on

from serve_apps.rerank.problems import KINDS

VISIBLE = r"[^\x09-\x0d\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Something to read: no white space, spelt out because Python, Rust and JSON Schema mean different things by it."""

ONE_TEXT, OTHER = KINDS
"""What is given, a text or something else; a fault's place names the kind, and an answer leaves it out."""

LONGEST_WAIT_MS = 600_000

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=VISIBLE)]


@with_config(ConfigDict(strict=True, json_schema_extra={"anyOf": [{"required": ["id"]}, {"required": ["text"]}]}))
class Document(TypedDict):
    """A document is a pin by its id, a text, or both: then the text stands in where no pin has the id."""

    id: NotRequired[Text]
    text: NotRequired[Text]
    pair_features: NotRequired[
        Annotated[
            dict[str, Any] | None,
            Field(description="numbers of this query with this document, by the names in the student's specification"),
        ]
    ]


def _whole(given: object) -> object:
    return int(given) if isinstance(given, float) and given.is_integer() else given


WHOLE = BeforeValidator(_whole)
"""Integers as JSON Schema has them: 2.0 is one, and "2" and true are none."""

Count = Annotated[int, Field(ge=1), WHOLE]


def _kind(given: object) -> str:
    return ONE_TEXT if isinstance(given, str) else OTHER


AnyDocument = Annotated[
    Annotated[Text, Tag(ONE_TEXT)] | Annotated[Document, Tag(OTHER)],
    Discriminator(_kind),
]

Texts = Annotated[
    Annotated[Text, Tag(ONE_TEXT)] | Annotated[list[Text], Field(min_length=1), Tag(OTHER)],
    Discriminator(_kind),
]


class Asking(BaseModel):
    """What every form of a ranking request may say. Fields that it does not know are ignored, as other servers do."""

    model_config = ConfigDict(strict=True)

    query: Text
    query_locale: str | None = Field(None, max_length=64, description="such as de-DE")
    query_features: dict[str, Any] | None = Field(
        None,
        description="features of the query, by the names in the student's specification: a number, a text, a list of "
        "texts, or a vector; null or absent is missing",
    )
    timeout_ms: float | None = Field(
        None, gt=0, le=LONGEST_WAIT_MS, description="for the answer, degraded rather than late"
    )
    top_n: Count | None = Field(None, description="how many results to return; all without it")
    explain: bool = Field(False, description="say why, for the best max_explained results")
    return_levels: bool = Field(False, description="add the five probabilities, the expected and the likeliest level")


class RerankRequest(Asking):
    """What POST /v2/rerank reads: the form of Cohere's clients."""

    documents: list[AnyDocument] = Field(min_length=1)
    model: str | None = Field(None, description="accepted from clients that must send it; meta.model says who graded")
    return_documents: bool = Field(False, description="repeat every document in its result")


class Explained(TypedDict):
    """Why a document has its score: base and contributions add up to it."""

    base: Annotated[float, Field(description="the score of a document of which nothing is known")]
    contributions: Annotated[dict[str, float], Field(description="what each group of inputs adds: its Shapley value")]
    features: Annotated[
        dict[str, float | None],
        Field(description="values by their names in the student's specification; null is missing"),
    ]


class Result(TypedDict):
    """A document's place in the ranking."""

    index: Annotated[int, Field(description="its position in the request, from 0")]
    relevance_score: Annotated[
        float, Field(description="(expected level - 1) / 4, in [0, 1], to 6 decimals; 0 when not graded")
    ]
    found: NotRequired[
        Annotated[
            bool,
            Field(description="for documents with an id: whether a pin has it; absent where nobody could look it up"),
        ]
    ]
    level: NotRequired[Annotated[int, Field(description="the likeliest level, 1..5")]]
    expected_level: NotRequired[Annotated[float, Field(description="sum of i * p_i, in [1, 5]")]]
    probabilities: NotRequired[Annotated[list[float], Field(description="of the levels 1..5, in this order")]]
    explanation: NotRequired[Annotated[Explained, Field(description="why, where the student graded it")]]
    document: NotRequired[Document]


class ApiVersion(TypedDict):
    """The version of Cohere's interface that this answer follows."""

    version: str


class StageTimes(TypedDict):
    """Milliseconds that the request waited for each stage; encoding and candidates run at the same time."""

    encode: float
    candidates: float
    rank: float


class Meta(TypedDict):
    """Who graded, how completely and how fast."""

    api_version: ApiVersion
    model: Annotated[str, Field(description="version of the student")]
    degraded: NotRequired[
        Annotated[str, Field(description="the steps that the answer fell back to: text, lexical, input_order")]
    ]
    not_graded: Annotated[int, Field(description="how many documents have no known pin and no text")]
    stage_ms: StageTimes


class RerankResponse(TypedDict):
    """What POST /v2/rerank answers: the results, best first, equals in the order of the request."""

    id: Annotated[str, Field(description="the request's id")]
    results: list[Result]
    meta: Meta


class Health(BaseModel):
    """Answer of /health and /ready."""

    status: str
    model: str | None = None


class Model(BaseModel):
    """A model in the list of /v1/models (OpenAI form)."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(0, description="seconds since 1970, as clients expect; 0: not known")
    owned_by: str = "pinrank"


class ModelList(BaseModel):
    """Answer of /v1/models."""

    object: Literal["list"] = "list"
    data: list[Model]


class ErrorBody(BaseModel):
    """Every answer that is not 2xx."""

    error: str
    error_type: str
