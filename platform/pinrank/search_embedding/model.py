"""The two towers of a search embedding before training."""

from pinrank.search_embedding.settings import SearchEmbeddingSettings
from pinrank.student import towers
from pinrank.student.settings import TowerSettings
from pinrank.student.towers import TwoTowers


def build_towers(settings: SearchEmbeddingSettings, attention: str | None = None) -> TwoTowers:
    """The towers before training: the pretrained backbone, and a random projection where a width is set."""
    kind = TowerSettings(shared=settings.shared, output_dim=settings.output_dim)
    return towers.build_towers(settings.backbone, kind, attention, settings.backbone_dropout)
