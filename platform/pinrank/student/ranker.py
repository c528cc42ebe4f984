"""The student's MLP in numpy, as serving runs it: the first layer split by side.

    hidden = (q W_q + s V_q) + (p W_p + t V_p) + sqrt(D) (q * p) W_x + x W_f + b
    logits = layers(relu(hidden)) + x W_s

q, p vectors of query and pin; s, t their own features, embedded categories among them; x normalised pair features and
the scaled cosine. The first bracket is computed once a query, the second once a pin, offline.

Letters: N candidates, D vector, H first hidden layer, R = D + H, F pair features, L = 5 levels, V values and E numbers
of an embedded category.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pinrank.errors import ModelError
from pinrank.student.inputs import Shapes, Side, SideShape

Floats = NDArray[np.float32]
RANKER_FILE = "ranker.safetensors"


@dataclass(frozen=True)
class SideWeights:
    """The weights of one side's features: an embedding table for each category, its columns of buckets, linear_IH."""

    embeddings: tuple[Floats, ...]
    columns: tuple[slice, ...]
    linear_IH: Floats

    def project(self, side: Side[NDArray[Any]]) -> Floats:
        """A side's features to its part of the first layer: float32[N, H]."""
        inputs = [side.numbers_NW]
        for embedding, columns in zip(self.embeddings, self.columns, strict=True):
            buckets_NV = side.buckets_NM[:, columns]
            known_NV1 = (buckets_NV >= 0)[:, :, None]
            embedded_NVE = embedding[np.maximum(buckets_NV, 0)] * known_NV1
            inputs.append(embedded_NVE.sum(axis=1) / known_NV1.sum(axis=1))
        return np.asarray(np.concatenate(inputs, axis=1, dtype=np.float32) @ self.linear_IH)


@dataclass(frozen=True)
class RankerWeights:
    """The MLP's weights, each laid out (in, out).

    query_features, pin_features: of the sides' own features, None where a side has none.
    query_DH, pin_DH, product_DH: the first layer's parts; features_GH with G = F + 1, the cosine last; bias_H.
    layers: the (weight, bias) of the layers after the first; shortcut_GL: features and cosine straight to the logits.
    """

    query_DH: Floats
    pin_DH: Floats
    product_DH: Floats
    features_GH: Floats
    bias_H: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    shortcut_GL: Floats
    cosine_centre: float
    cosine_scale: float
    query_features: SideWeights | None = None
    pin_features: SideWeights | None = None

    @property
    def vector_dim(self) -> int:
        return int(self.pin_DH.shape[0])

    @property
    def hidden(self) -> int:
        return int(self.pin_DH.shape[1])

    def cut(self, dim: int) -> "RankerWeights":
        """The same MLP over the first numbers of vectors, which are again of length 1."""
        query_DH, pin_DH, product_DH = (part[:dim].copy() for part in (self.query_DH, self.pin_DH, self.product_DH))
        return replace(self, query_DH=query_DH, pin_DH=pin_DH, product_DH=product_DH)

    def query_side(self, query_D: Floats, own: Side[NDArray[Any]] | None = None) -> Floats:
        """The query's part of the first layer, with the bias: float32[H]. own: its features, one row."""
        side_H = query_D @ self.query_DH + self.bias_H
        return np.asarray(
            side_H if own is None or self.query_features is None else side_H + self.query_features.project(own)[0]
        )

    def pin_side(self, pins_ND: Floats, own: Side[NDArray[Any]] | None = None) -> Floats:
        """The pins' part of the first layer: float32[N, H]. own: their features."""
        side_NH = pins_ND @ self.pin_DH
        return np.asarray(
            side_NH if own is None or self.pin_features is None else side_NH + self.pin_features.project(own)
        )

    def logits(
        self,
        query_D: Floats,
        rows_NR: NDArray[np.floating],
        features_NF: Floats,
        own: Side[NDArray[Any]] | None = None,
    ) -> Floats:
        """Five logits for one query and N candidates, float32[N, 5].

        rows_NR are rows of the pin store: a pin's vector, then its side of the first layer. own: the query's features.
        """
        rows = single(rows_NR)
        pins_ND, side_NH = rows[:, : self.vector_dim], rows[:, self.vector_dim :]
        cosine_N = (pins_ND @ query_D - self.cosine_centre) * self.cosine_scale
        inputs_NG = np.concatenate([features_NF, cosine_N[:, None]], axis=1, dtype=np.float32)
        hidden = pins_ND @ ((query_D * np.float32(self.vector_dim**0.5))[:, None] * self.product_DH)
        hidden += side_NH
        hidden += inputs_NG @ self.features_GH
        hidden += self.query_side(query_D, own)
        for weight, bias in self.layers:
            np.maximum(hidden, 0.0, out=hidden)
            hidden = hidden @ weight
            hidden += bias
        hidden += inputs_NG @ self.shortcut_GL
        return np.asarray(hidden, dtype=np.float32)


def single(rows_NR: NDArray[np.floating]) -> Floats:
    """Rows as float32."""
    if rows_NR.dtype != np.float16:
        return np.asarray(rows_NR, dtype=np.float32)
    from pinrank.widen import widened  # which loads numba, and jobs only read their settings at first

    return widened(rows_NR)


def open_ranker(folder: Path, shapes: Shapes, cosine_centre: float, cosine_scale: float) -> RankerWeights:
    """Read ranker.safetensors of a student folder. Raises ModelError when it is none of this shape."""
    try:
        stored = load_file(folder / RANKER_FILE)
        arrays = {name: np.ascontiguousarray(array.T) for name, array in stored.items()}
        count = sum(name.startswith("layers.") and name.endswith(".weight") for name in arrays)
        return RankerWeights(
            query_DH=arrays["query.weight"],
            pin_DH=arrays["pin.weight"],
            product_DH=arrays["product.weight"],
            features_GH=arrays["features.weight"],
            bias_H=arrays["query.bias"],
            layers=tuple((arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"]) for i in range(count)),
            shortcut_GL=arrays["shortcut.weight"],
            cosine_centre=cosine_centre,
            cosine_scale=cosine_scale,
            query_features=_side_weights(stored, "query_features", shapes.query),
            pin_features=_side_weights(stored, "pin_features", shapes.pin),
        )
    except (OSError, KeyError, ValueError, SafetensorError) as cause:
        raise ModelError(
            f"{folder}/{RANKER_FILE}: not a student's ranker ({cause}). Export the student again."
        ) from cause


def _side_weights(stored: dict[str, Floats], name: str, shape: SideShape) -> SideWeights | None:
    if not shape.num_inputs:
        return None
    embeddings = tuple(stored[f"{name}.embeddings.{place}.weight"] for place in range(len(shape.embeddings)))
    linear_IH = np.ascontiguousarray(stored[f"{name}.linear.weight"].T)
    found = (linear_IH.shape[0], [embedding.shape for embedding in embeddings])
    wanted = (shape.num_inputs, [(each.num_buckets, each.dim) for each in shape.embeddings])
    if found != wanted:
        raise ValueError(f"{name} has the shapes {found}, the specification {wanted}")
    return SideWeights(embeddings, shape.columns, linear_IH)
