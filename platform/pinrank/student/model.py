"""The student while it trains: two towers that share one encoder, and the MLP that ranks.

Letters: N pairs, T tokens, D vector, H first hidden layer, F features, G = F + 1 (with the cosine), L = 5 levels.
"""

import itertools

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pinrank.levels import LEVELS, NUM_LEVELS
from pinrank.student.settings import RankerSettings
from pinrank.teacher.model import hidden_size, pool


class Tower(nn.Module):
    """Text to a vector of length 1: the encoder's mean over tokens, projected where a width is given, normalised."""

    def __init__(self, encoder: PreTrainedModel, output_dim: int | None = None) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.vector_dim = output_dim or hidden_size(encoder)
        self.projection = nn.Linear(hidden_size(encoder), output_dim, bias=False) if output_dim else nn.Identity()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids_NT and attention_mask_NT (int64) to vectors_ND, float32."""
        hidden_NTD = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled_NH = pool(hidden_NTD.float(), attention_mask, "mean")
        return nn.functional.normalize(self.projection(pooled_NH).float(), dim=-1)


class Ranker(nn.Module):
    """The MLP; pinrank.student.ranker holds the same maths in numpy.

    A shortcut leads from the features and the cosine straight to the logits, and the last layer starts at zero: before
    the first step the level grows with the cosine alone, so the pretrained encoder is useful at once.
    """

    def __init__(
        self, vector_dim: int, num_features: int, settings: RankerSettings, cosine_centre: float, cosine_scale: float
    ) -> None:
        super().__init__()
        first, *rest = settings.hidden
        self.cosine_centre, self.cosine_scale = cosine_centre, cosine_scale
        self.product_scale = vector_dim**0.5  # brings the product of two unit vectors to length about 1
        self.query = nn.Linear(vector_dim, first)
        self.pin = nn.Linear(vector_dim, first, bias=False)
        self.product = nn.Linear(vector_dim, first, bias=False)
        self.features = nn.Linear(num_features + 1, first, bias=False)
        widths = [first, *rest, NUM_LEVELS]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.shortcut = nn.Linear(num_features + 1, NUM_LEVELS, bias=False)
        self.dropout = nn.Dropout(settings.dropout)
        self._start_from_the_cosine()

    def forward(self, query_ND: Tensor, pin_ND: Tensor, features_NF: Tensor) -> Tensor:
        """Unit vectors and normalised features to logits_NL, float32."""
        product_ND = query_ND * pin_ND
        cosine_N1 = (product_ND.sum(dim=-1, keepdim=True) - self.cosine_centre) * self.cosine_scale
        inputs_NG = torch.cat([features_NF, cosine_N1], dim=-1)
        sides_NH = self.query(query_ND) + self.pin(pin_ND)
        hidden: Tensor = sides_NH + self.product(product_ND * self.product_scale) + self.features(inputs_NG)
        for layer in self.layers:
            hidden = layer(self.dropout(torch.relu(hidden)))
        logits_NL: Tensor = hidden + self.shortcut(inputs_NG)
        return logits_NL

    @torch.no_grad()
    def _start_from_the_cosine(self) -> None:
        for side in (self.query, self.pin, self.product):
            # Entries of a unit vector are about 1/sqrt(D): the usual small weights would leave the MLP only features.
            side.weight.normal_(std=0.5)
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        last.weight.zero_()
        last.bias.zero_()
        self.shortcut.weight.zero_()
        self.shortcut.weight[:, -1] = torch.tensor(LEVELS, dtype=torch.float32) - (NUM_LEVELS + 1) / 2


class Student(nn.Module):
    """Towers and ranker as they are trained; each distinct text of a batch is encoded once."""

    def __init__(self, tower: Tower, ranker: Ranker) -> None:
        super().__init__()
        self.tower = tower
        self.ranker = ranker

    def forward(
        self,
        queries: tuple[Tensor, Tensor],
        pins: tuple[Tensor, Tensor],
        query_of_pair: Tensor,
        pin_of_pair: Tensor,
        features_NF: Tensor,
    ) -> Tensor:
        """(ids, mask) of the distinct queries and pins, which of them each pair has, and features, to logits_NL."""
        query_ND = self.tower(*queries)[query_of_pair]
        pin_ND = self.tower(*pins)[pin_of_pair]
        with torch.autocast(query_ND.device.type, enabled=False):
            logits_NL: Tensor = self.ranker(query_ND, pin_ND, features_NF)
        return logits_NL
