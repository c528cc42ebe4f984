"""What the re-ranking application can be told: the `args` of app.yaml."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve_apps.rerank.served_settings import ServedLogSettings

Part = Literal["Rerank", "QueryEncoder", "PinEmbeddings", "Ranker"]


class RerankSettings(BaseModel):
    """One student with the pin store that belongs to it, and the limits of a request.

    Relative folders start where Ray was started; on a cluster give absolute ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    student: str = Field("runs/demo/student", min_length=1, description="folder of the student, from train_student")
    pin_store: str = Field("runs/demo/pin_store", min_length=1, description="folder of the pin store, from embed_pins")
    registry: str | None = Field(
        None, description="registry of releases; its current one is served, and followed, in place of the two folders"
    )
    registry_poll_s: float = Field(1.0, gt=0.0, description="how often the registry is asked what is current")
    verify_releases: bool = Field(
        True, description="read all of a release's pin store before it answers; without it only sizes and headers"
    )
    topology: Literal["split", "fused"] = Field(
        "fused", description="each part in a deployment of its own, or all of them in the replicas of Rerank"
    )
    fuse_encoder: bool = Field(True, description="fused: the towers, too; else QueryEncoder is a deployment of its own")
    deployments: dict[Part, dict[str, Any]] = Field(
        {}, description="options of a deployment by its name, as serve.deployment takes them; others stay as they are"
    )
    budget_ms: float | None = Field(
        None, gt=0.0, description="time for an answer, which is degraded rather than late; a request may say its own"
    )
    rank_reserve_ms: float = Field(5.0, ge=0.0, description="of the budget: kept for features and MLP")
    api_keys: str | None = Field(
        None, description="file of hashed API keys, from python -m serve_apps.rerank.api_keys; without it all may ask"
    )
    body_limit_bytes: int = Field(2 * 2**20, ge=1024, description="a request body with more received bytes gets 413")
    body_timeout_s: float = Field(10.0, gt=0.0, description="a body that is not here after so long gets 408")
    max_documents: int = Field(10_000, ge=1, description="a request with more documents gets 422")
    max_texts: int = Field(
        500,
        ge=0,
        description="a request with more documents by text alone gets 422; of texts that stand in for unknown ids, "
        "those beyond it go by their words",
    )
    max_explained: int = Field(100, ge=0, description="results of a request that are explained, at most, the best")
    max_query_chars: int = Field(2_000, ge=1, description="a request with a longer query gets 422")
    max_in_flight: int = Field(64, ge=1, description="rankings under way in one ingress replica; one more gets 429")
    max_texts_in_flight: int = Field(
        500,
        ge=0,
        description="documents by text alone under way in one ingress replica, a request with more gets 429; and texts "
        "in work in one QueryEncoder replica, more go by their words",
    )
    query_cache_entries: int = Field(10_000, ge=0, description="query vectors kept by a QueryEncoder replica; 0: none")
    query_cache_ttl_s: float = Field(3600.0, gt=0.0, description="a query vector is encoded again after so long")
    query_cache_redis: str | None = Field(
        None, description="redis:// or rediss:// URL of a second cache, which all replicas share"
    )
    query_cache_redis_timeout_ms: float = Field(
        5.0, gt=0.0, description="a request waits so long for that cache, then encodes its query itself"
    )
    query_tower: Literal["auto", "torch", "fp32", "int8"] = Field(
        "auto", description="queries are encoded by torch, or by an ONNX form; auto: the fastest that the student holds"
    )
    max_batch_queries: int = Field(32, ge=1, description="queries of several requests encoded together, at most")
    max_waiting_queries: int = Field(
        256, ge=1, description="queries that wait for the towers of a replica; one more is answered by its words"
    )
    batch_wait_s: float = Field(
        0.0,
        ge=0.0,
        description="wait for more queries before a batch starts; at 0 a batch is what arrived during the last one",
    )
    traces: str | None = Field(
        None,
        description="where traces of requests go: an OTLP collector's http address, or a file; null: there are none",
    )
    trace_share: float = Field(
        1.0, ge=0.0, le=1.0, description="of the requests about which the client's traceparent says nothing"
    )
    served_log: ServedLogSettings | None = Field(
        None, description="a share of the lists that were shown is written down, with its queries; null: nothing is"
    )
    ready_timeout_s: float = Field(2.0, gt=0.0, description="/ready answers 503 when a deployment takes longer")
