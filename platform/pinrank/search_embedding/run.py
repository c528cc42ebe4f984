"""A training run of a search embedding, as the driver hands it to every worker."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pinrank.search_embedding.settings import PairSettings, SearchEmbeddingSettings
from pinrank.tracking import Tracked

PUBLISHED = "published"
"""The folder in the run's own that holds what training made."""


class TrainingRun(BaseModel):
    """What the driver hands to every worker. The folder must be one that all nodes see."""

    model_config = ConfigDict(frozen=True)

    name: str
    settings: SearchEmbeddingSettings
    pair_settings: PairSettings
    pairs: Path
    candidates: Path
    folder: Path
    lineage: dict[str, Any]
    tracked: Tracked | None = None
