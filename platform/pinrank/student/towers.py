"""Towers: a text's token ids to a vector of length 1, by one tower for queries and pins or by one each.

Letters: U distinct texts, T tokens, B pairs, H width of the encoder, D vector.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pinrank.errors import ModelError
from pinrank.student.hashed import HashedWords, hashed_words
from pinrank.student.settings import TowerSettings
from pinrank.student.tower_folder import FORM, folders_of, open_tower
from pinrank.teacher.families import Pooling
from pinrank.teacher.model import hidden_size, open_backbone, pool
from pinrank.teacher.tokens import rounded_up

HASHED_DIM = 128
"""Width of a hashed tower's vector where the settings name none."""

TOGETHER = 16
"""Texts that a tower reads in one pass while it trains on a CPU."""

LENGTH_STEP = 8
"""Their width is a multiple of this, because oneDNN compiles a kernel for every shape that it meets."""

Tokens = tuple[Tensor, Tensor]
"""ids_UT and mask_UT of the distinct texts of a batch."""


class Tower(nn.Module):
    """Text to a vector: what the encoder says, pooled, projected where a width is given, normalised."""

    def __init__(self, encoder: PreTrainedModel, output_dim: int | None = None, pooling: Pooling = "mean") -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.pooling: Pooling = pooling
        self.vector_dim = output_dim or hidden_size(encoder)
        self.projection = nn.Linear(hidden_size(encoder), output_dim, bias=False) if output_dim else nn.Identity()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids_UT and attention_mask_UT (int64) to vectors_UD, float32."""
        hidden_UTH = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled_UH = pool(hidden_UTH.float(), attention_mask, self.pooling)
        return nn.functional.normalize(self.projection(pooled_UH).float(), dim=-1)


class HashedTower(nn.Module):
    """Text to a vector, learnt from scratch: a weighted mean of its words' rows in a table, projected, normalised.

    A word's weight is learnt too; all start at the same. So does the projection as one that keeps every angle: before
    the first step, the cosine of two texts grows with the words that they share. A text without words is a zero vector.
    """

    def __init__(self, words: HashedWords, vector_dim: int = HASHED_DIM) -> None:
        super().__init__()
        self.words = words
        self.vector_dim = vector_dim
        self.embedding = nn.Embedding(words.num_rows, vector_dim)
        self.log_weight = nn.Embedding(words.num_rows, 1)
        self.projection = nn.Linear(vector_dim, vector_dim, bias=False)
        with torch.no_grad():
            self.log_weight.weight.zero_()
            nn.init.orthogonal_(self.projection.weight)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids_UT and attention_mask_UT (int64) to vectors_UD, float32."""
        weight_UT1 = self.log_weight(input_ids).exp() * attention_mask.unsqueeze(-1)
        pooled_UD = (weight_UT1 * self.embedding(input_ids)).sum(dim=1) / weight_UT1.sum(dim=1).clamp(min=1e-9)
        return nn.functional.normalize(self.projection(pooled_UD).float(), dim=-1)


AnyTower = Tower | HashedTower


def shortened(vectors_ND: Tensor, dim: int) -> Tensor:
    """The first numbers of vectors, again at length 1 (Kusupati et al., "Matryoshka representation learning", 2022)."""
    return nn.functional.normalize(vectors_ND[..., :dim], dim=-1)


class TwoTowers(nn.Module):
    """Queries and pins to vectors of length 1, by one tower or by one each."""

    def __init__(self, query: AnyTower, pin: AnyTower) -> None:
        super().__init__()
        self.query = query
        self.pin = pin

    @property
    def shared(self) -> bool:
        return self.query is self.pin

    @property
    def vector_dim(self) -> int:
        return self.query.vector_dim

    def forward(
        self, queries: Tokens, pins: Tokens, query_of_pair: Tensor, pin_of_pair: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The distinct queries and pins of a batch, and which of them each pair has, to queries_BD and pins_BD."""
        return encoded(self.query, *queries)[query_of_pair], encoded(self.pin, *pins)[pin_of_pair]


def encoded(tower: AnyTower, ids_UT: Tensor, mask_UT: Tensor) -> Tensor:
    """vectors_UD. On a CPU a few texts at a time, none padded beyond the longest of these: where texts lie in order of
    length, half of the work on one padded batch would be on padding."""
    if ids_UT.device.type != "cpu":
        whole_UD: Tensor = tower(ids_UT, mask_UT)
        return whole_UD
    parts = zip(ids_UT.split(TOGETHER), mask_UT.split(TOGETHER), strict=True)
    widths = ((ids, mask, rounded_up(int(mask.sum(dim=1).max()), LENGTH_STEP)) for ids, mask in parts)
    return torch.cat([tower(ids[:, :width], mask[:, :width]) for ids, mask, width in widths])


def build_towers(
    backbone: str, settings: TowerSettings, attention: str | None = None, dropout: float | None = None
) -> TwoTowers:
    """The towers before training: the pretrained backbone, and a random projection where a width is set, or a hashed
    tower where the backbone is called so.

    A backbone that is a student's folder, or a tower's, goes on as it is, pooling and projection included. Raises
    ModelError when it is not what the settings want.
    """
    if words := hashed_words(backbone):
        hashed = HashedTower(words, settings.output_dim or HASHED_DIM)
        both = TwoTowers(hashed, hashed if settings.shared else HashedTower(words, hashed.vector_dim))
        return _of_width(both, settings)
    query, pin = folders_of(backbone)
    if settings.shared and query != pin:
        raise ModelError(f"{backbone}: reads pins with a tower of their own. Set tower.shared to false.")
    first = _start(query, settings, attention, dropout)
    return _of_width(
        TwoTowers(first, first if settings.shared else _start(pin, settings, attention, dropout)), settings
    )


def _of_width(towers: TwoTowers, settings: TowerSettings) -> TwoTowers:
    if settings.dims and settings.dims[-1] >= towers.vector_dim:
        raise ModelError(
            f"tower.dims: {settings.dims[-1]} is no smaller width of vectors of {towers.vector_dim} numbers. Give "
            "smaller ones, or a larger tower.output_dim."
        )
    return towers


def _start(folder: Path, settings: TowerSettings, attention: str | None, dropout: float | None) -> AnyTower:
    if not (folder / FORM).exists():
        return Tower(open_backbone(str(folder), attention, dropout), settings.output_dim, settings.pooling)
    tower, _ = open_tower(folder, attention, dropout)
    if settings.output_dim not in (None, tower.vector_dim):
        raise ModelError(
            f"{folder}: gives vectors of {tower.vector_dim} numbers, tower.output_dim wants {settings.output_dim}. "
            "Leave it null, or start from another backbone."
        )
    return tower
