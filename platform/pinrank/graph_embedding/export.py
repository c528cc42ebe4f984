"""A graph embedding as a folder: pins/ with its vectors as a named external embedding, and card.json."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pinrank import tables
from pinrank.durable import refuse_other_content, replace_folder, staging_of
from pinrank.embeddings.external import PINS, table_of
from pinrank.graph_embedding.factorise import PinVectors
from pinrank.model_card import CARD


class GraphEmbeddingCard(BaseModel):
    """What a graph embedding is and how it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(description="NAME@ the first 8 hex digits of the SHA-256 of its ids and vectors")
    vector_dim: int
    metrics: dict[str, float]
    lineage: dict[str, Any]


def save_graph_embedding(
    found: PinVectors, folder: Path, name: str, metrics: Mapping[str, float], lineage: Mapping[str, Any]
) -> GraphEmbeddingCard:
    """Write the folder in one rename; TableError when it holds something else."""
    refuse_other_content(folder, CARD)
    digest = hashlib.sha256("\x1f".join(found.pin_ids.to_pylist()).encode())
    digest.update(found.vectors_PD.tobytes())
    card = GraphEmbeddingCard(
        version=f"{name}@{digest.hexdigest()[:8]}",
        vector_dim=found.vectors_PD.shape[1],
        metrics=dict(metrics),
        lineage=dict(lineage),
    )
    staging = staging_of(folder)
    vectors = table_of(card.version, found.pin_ids, found.vectors_PD)
    tables.write(vectors, str(staging / PINS), tables.EXTERNAL_EMBEDDINGS)
    (staging / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    replace_folder(staging, folder)
    return card
