"""The two towers while they train. Letters: U distinct texts, T tokens, B pairs, D vector."""

from torch import Tensor, nn

from pinrank.search_embedding.settings import SearchEmbeddingSettings
from pinrank.student.model import Tower
from pinrank.teacher.model import open_backbone

Tokens = tuple[Tensor, Tensor]
"""ids_UT and mask_UT of the distinct texts of a batch."""


class TwoTowers(nn.Module):
    """Queries and pins to vectors of length 1, by one tower or by one each."""

    def __init__(self, query: Tower, pin: Tower) -> None:
        super().__init__()
        self.query = query
        self.pin = pin

    @property
    def shared(self) -> bool:
        return self.query is self.pin

    def forward(
        self, queries: Tokens, pins: Tokens, query_of_pair: Tensor, pin_of_pair: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The distinct queries and pins of a batch, and which of them each pair has, to queries_BD and pins_BD."""
        return self.query(*queries)[query_of_pair], self.pin(*pins)[pin_of_pair]


def build_towers(settings: SearchEmbeddingSettings, attention: str = "sdpa") -> TwoTowers:
    """The towers before training: the pretrained backbone, and a random projection where a width is set."""
    query = _tower(settings, attention)
    return TwoTowers(query, query if settings.shared else _tower(settings, attention))


def _tower(settings: SearchEmbeddingSettings, attention: str) -> Tower:
    return Tower(open_backbone(settings.backbone, attention, settings.backbone_dropout), settings.output_dim)
