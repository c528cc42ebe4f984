"""The student while it trains: two towers, and the MLP that ranks.

Letters: N pairs, D vector, H first hidden layer, F pair features, G = F + 1 (with the cosine), V values and E numbers
of an embedded category, L = 5 levels. For a side's W and M see pinrank.student.inputs.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from pinrank.levels import LEVELS, NUM_LEVELS
from pinrank.student.features import NUM_SPECIAL, FeatureSpec
from pinrank.student.inputs import Features, Shapes, Side, SideShape
from pinrank.student.settings import RankerSettings, StudentSettings
from pinrank.student.towers import Tokens, TwoTowers, build_towers, shortened


class SideLayer(nn.Module):
    """The part of the first layer that the features of one side have: its numbers and embedded categories, projected.

    Starts at zero, and so do the rows of missing and unknown values: what training never sees adds nothing.
    """

    def __init__(self, shape: SideShape, hidden: int) -> None:
        super().__init__()
        self.columns = shape.columns
        embeddings = [nn.Embedding(each.num_buckets, each.dim) for each in shape.embeddings]
        self.embeddings = nn.ModuleList(embeddings)
        self.linear = nn.Linear(shape.num_inputs, hidden, bias=False)
        with torch.no_grad():
            self.linear.weight.zero_()
            for embedding in embeddings:
                embedding.weight[:NUM_SPECIAL] = 0.0

    def forward(self, side: Side[Tensor]) -> Tensor:
        """A side's features to its part of the hidden layer, float32[N, H]."""
        inputs = [side.numbers_NW]
        for embedding, columns in zip(self.embeddings, self.columns, strict=True):
            buckets_NV = side.buckets_NM[:, columns]
            known_NV1 = (buckets_NV >= 0).unsqueeze(-1)
            embedded_NVE = embedding(buckets_NV.clamp(min=0)) * known_NV1
            inputs.append(embedded_NVE.sum(dim=1) / known_NV1.sum(dim=1))
        projected_NH: Tensor = self.linear(torch.cat(inputs, dim=-1))
        return projected_NH


class Ranker(nn.Module):
    """The MLP; pinrank.student.ranker holds the same maths in numpy.

    A shortcut leads from the pair features and the cosine straight to the logits, and the last layer starts at zero:
    before the first step the level grows with the cosine alone, so the pretrained encoder is useful at once.
    """

    def __init__(
        self, vector_dim: int, shapes: Shapes, settings: RankerSettings, cosine_centre: float, cosine_scale: float
    ) -> None:
        super().__init__()
        first, *rest = settings.hidden
        self.cosine_centre, self.cosine_scale = cosine_centre, cosine_scale
        self.query = nn.Linear(vector_dim, first)
        self.pin = nn.Linear(vector_dim, first, bias=False)
        self.product = nn.Linear(vector_dim, first, bias=False)
        self.features = nn.Linear(shapes.num_pair + 1, first, bias=False)
        widths = [first, *rest, NUM_LEVELS]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.shortcut = nn.Linear(shapes.num_pair + 1, NUM_LEVELS, bias=False)
        self.dropout = nn.Dropout(settings.dropout)
        self.query_features = SideLayer(shapes.query, first) if shapes.query.num_inputs else None
        self.pin_features = SideLayer(shapes.pin, first) if shapes.pin.num_inputs else None
        self._start_from_the_cosine()

    def forward(self, query_ND: Tensor, pin_ND: Tensor, features: Features[Tensor], dim: int | None = None) -> Tensor:
        """Unit vectors and normalised features to logits_NL, float32.

        dim: read so many first numbers of the vectors alone, as a student that is cut to this width does.
        """
        if dim is not None:
            query_ND, pin_ND = shortened(query_ND, dim), shortened(pin_ND, dim)
        width = query_ND.shape[-1]
        product_ND = query_ND * pin_ND
        cosine_N1 = (product_ND.sum(dim=-1, keepdim=True) - self.cosine_centre) * self.cosine_scale
        inputs_NG = torch.cat([features.pair_NF, cosine_N1], dim=-1)
        sides_NH = linear(query_ND, self.query.weight[:, :width], self.query.bias)
        sides_NH = sides_NH + linear(pin_ND, self.pin.weight[:, :width])
        if self.query_features is not None:
            sides_NH = sides_NH + self.query_features(features.query)
        if self.pin_features is not None:
            sides_NH = sides_NH + self.pin_features(features.pin)
        # sqrt(D) brings the product of two unit vectors to length about 1.
        product_NH = linear(product_ND * width**0.5, self.product.weight[:, :width])
        hidden: Tensor = sides_NH + product_NH + self.features(inputs_NG)
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
    """Towers and ranker as they are trained; each distinct text of a batch is encoded once.

    dims: the smaller widths at which its vectors are of use too.
    """

    def __init__(self, towers: TwoTowers, ranker: Ranker, dims: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.towers = towers
        self.ranker = ranker
        self.dims = dims

    def forward(
        self,
        queries: Tokens,
        pins: Tokens,
        query_of_pair: Tensor,
        pin_of_pair: Tensor,
        features: Features[Tensor],
        dims: tuple[int, ...] = (),
    ) -> Tensor:
        """(ids, mask) of the distinct queries and pins, which of them each pair has, and features, to logits_NL.

        With dims: logits_KNL, those of the whole vectors first, then those at each of these widths.
        """
        query_ND, pin_ND = self.towers(queries, pins, query_of_pair, pin_of_pair)
        with torch.autocast(query_ND.device.type, enabled=False):
            return at_widths(self.ranker, query_ND, pin_ND, features, dims)


class FrozenStudent(nn.Module):
    """The ranker alone, on vectors of texts that are known."""

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        self.ranker = ranker

    def forward(
        self,
        queries: tuple[Tensor],
        pins: tuple[Tensor],
        query_of_pair: Tensor,
        pin_of_pair: Tensor,
        features: Features[Tensor],
        dims: tuple[int, ...] = (),
    ) -> Tensor:
        """As Student's, where queries and pins are each pair's vectors_ND of any float type."""
        return at_widths(self.ranker, queries[0].float(), pins[0].float(), features, dims)


def at_widths(
    ranker: Ranker, query_ND: Tensor, pin_ND: Tensor, features: Features[Tensor], dims: tuple[int, ...]
) -> Tensor:
    """logits_NL, or with dims logits_KNL: of the whole vectors, and of their starts of each width."""
    whole_NL: Tensor = ranker(query_ND, pin_ND, features)
    if not dims:
        return whole_NL
    return torch.stack([whole_NL, *(ranker(query_ND, pin_ND, features, dim) for dim in dims)])


def build_student(settings: StudentSettings, spec: FeatureSpec, attention: str | None = None) -> Student:
    """The student before training: pretrained towers under a ranker that starts from the cosine."""
    towers = build_towers(settings.backbone, settings.tower, attention, settings.backbone_dropout)
    return Student(towers, build_ranker(towers.vector_dim, settings, spec), settings.tower.dims)


def build_ranker(vector_dim: int, settings: StudentSettings, spec: FeatureSpec) -> Ranker:
    """The ranker before training."""
    return Ranker(vector_dim, spec.shapes, settings.ranker, spec.cosine_centre, spec.cosine_scale)
