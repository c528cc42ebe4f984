"""A trained search embedding as a folder, and what jobs open it with.

query/      the query tower (pinrank.student.tower_folder)
pin/        the pin tower; missing where the query tower reads pins too
pins/ queries/   its vectors as a named external embedding (pinrank.embeddings.external)
card.json   version, text settings, metrics and lineage
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.durable import replace_folder, staging_of
from pinrank.model_card import CARD, content_hash, open_card
from pinrank.precision import Precision
from pinrank.student.encoder import TextEncoder
from pinrank.student.export import max_pin_tokens
from pinrank.student.tower_folder import save_tower
from pinrank.text import TextSettings, normalise_query, pin_text

if TYPE_CHECKING:
    from pinrank.student.towers import TwoTowers

QUERY, PIN = "query", "pin"

Floats = NDArray[np.float32]


class SearchEmbeddingCard(BaseModel):
    """What a search embedding is: how it reads text, how it was made, what it found of held-out engagement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(description="NAME@ the first 8 hex digits of the SHA-256 of everything that decides a vector")
    backbone: str
    shared: bool
    vector_dim: int
    text: TextSettings
    metrics: dict[str, float]
    lineage: dict[str, Any]


class SearchEmbedding:
    """A search embedding ready to encode; its towers load when first asked for."""

    def __init__(self, folder: Path, card: SearchEmbeddingCard) -> None:
        self.folder = folder
        self.card = card

    @cached_property
    def query_tower(self) -> TextEncoder:
        """What reads queries."""
        return TextEncoder.open(self.folder / QUERY)

    @cached_property
    def pin_tower(self) -> TextEncoder:
        """What reads pins."""
        return self.query_tower if self.card.shared else TextEncoder.open(self.folder / PIN)

    def encode_queries(self, queries: Sequence[str], precision: Precision = "float32") -> Floats:
        """Queries, in any spelling, to vectors of length 1, float32[N, D]."""
        normal = [normalise_query(query) for query in queries]
        return self.query_tower.encode(normal, self.card.text.max_query_tokens, precision)

    def pin_texts(self, rows: Sequence[Mapping[str, str]]) -> list[str]:
        """Rows of pin_text to the texts that the pin tower reads."""
        return [pin_text(row, self.card.text) for row in rows]

    def encode_pins(self, texts: Sequence[str], precision: Precision = "auto") -> Floats:
        """Pin texts (as `pin_texts` gives them) to vectors of length 1, float32[N, D]."""
        return self.pin_tower.encode(texts, max_pin_tokens(self.card.text), precision)


def open_search_embedding(folder: str | Path) -> SearchEmbedding:
    """Open a folder that train_search_embedding wrote; ModelError when it is none."""
    return SearchEmbedding(Path(folder), read_card(folder))


def read_card(folder: str | Path) -> SearchEmbeddingCard:
    """The card of a search embedding's folder; ModelError when it is none."""
    return open_card(folder, SearchEmbeddingCard, "search embedding", "train_search_embedding")


def save_search_embedding(
    towers: "TwoTowers",
    tokenizer: Any,
    folder: str | Path,
    *,
    name: str,
    backbone: str,
    text: TextSettings,
    metrics: Mapping[str, float],
    lineage: Mapping[str, Any],
) -> SearchEmbeddingCard:
    """Write a search embedding's folder, without vectors, in one rename; returns its card with its version."""
    target = Path(folder).absolute()
    staging = staging_of(target)
    for side, tower in [(QUERY, towers.query)] if towers.shared else [(QUERY, towers.query), (PIN, towers.pin)]:
        save_tower(tower, tokenizer, staging / side)
    card = SearchEmbeddingCard(
        version=f"{name}@{content_hash(staging, text)}",
        backbone=backbone,
        shared=towers.shared,
        vector_dim=towers.query.vector_dim,
        text=text,
        metrics=dict(metrics),
        lineage=dict(lineage),
    )
    (staging / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    replace_folder(staging, target)
    return card
