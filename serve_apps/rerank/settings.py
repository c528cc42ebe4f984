"""What the re-ranking application can be told: the `args` of app.yaml."""

from pydantic import BaseModel, ConfigDict, Field


class RerankSettings(BaseModel):
    """One student with the pin store that belongs to it, and the limits of a request.

    Relative folders start where Ray was started; on a cluster give absolute ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    student: str = Field("runs/demo/student", min_length=1, description="folder of the student, from train_student")
    pin_store: str = Field("runs/demo/pin_store", min_length=1, description="folder of the pin store, from embed_pins")
    body_limit_bytes: int = Field(2 * 2**20, ge=1024, description="a request body with more received bytes gets 413")
    max_documents: int = Field(10_000, ge=1, description="a request with more documents gets 422")
    max_texts: int = Field(500, ge=0, description="a request with more documents by text alone gets 422")
    max_query_chars: int = Field(2_000, ge=1, description="a request with a longer query gets 422")
    max_in_flight: int = Field(64, ge=1, description="rankings under way in one ingress replica; one more gets 429")
    query_cache_entries: int = Field(10_000, ge=0, description="query vectors kept by a QueryEncoder replica; 0: none")
    max_batch_queries: int = Field(32, ge=1, description="queries of several requests encoded together, at most")
    batch_wait_s: float = Field(
        0.0,
        ge=0.0,
        description="wait for more queries before a batch starts; at 0 a batch is what arrived during the last one",
    )
    ready_timeout_s: float = Field(2.0, gt=0.0, description="/ready answers 503 when a deployment takes longer")
