"""The student's MLP in numpy, as serving runs it: the first layer split by side.

    hidden = q W_q + p W_p + sqrt(D) (q * p) W_x + x W_f + b      q W_q once a query, p W_p once a pin, offline
    logits = layers(relu(hidden)) + x W_s                         x = normalised features and the scaled cosine

Letters: N candidates, D vector, H first hidden layer, R = D + H row of the pin store, F features, L = 5 levels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pinrank.errors import ModelError

Floats = NDArray[np.float32]
RANKER_FILE = "ranker.safetensors"


@dataclass(frozen=True)
class RankerWeights:
    """The MLP's weights, each laid out (in, out).

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

    @property
    def vector_dim(self) -> int:
        return int(self.pin_DH.shape[0])

    @property
    def hidden(self) -> int:
        return int(self.pin_DH.shape[1])

    def query_side(self, query_D: Floats) -> Floats:
        """The query's part of the first layer, with the bias: float32[H]."""
        return np.asarray(query_D @ self.query_DH + self.bias_H)

    def pin_side(self, pins_ND: Floats) -> Floats:
        """The pins' part of the first layer: float32[N, H]."""
        return np.asarray(pins_ND @ self.pin_DH)

    def logits(self, query_D: Floats, rows_NR: NDArray[np.float16], features_NF: Floats) -> Floats:
        """Five logits for one query and N candidates, float32[N, 5].

        rows_NR are rows of the pin store: a pin's vector, then its side of the first layer.
        """
        rows = rows_NR.astype(np.float32)
        pins_ND, side_NH = rows[:, : self.vector_dim], rows[:, self.vector_dim :]
        cosine_N = (pins_ND @ query_D - self.cosine_centre) * self.cosine_scale
        inputs_NG = np.concatenate([features_NF, cosine_N[:, None]], axis=1)
        product_NH = pins_ND @ ((query_D * self.vector_dim**0.5)[:, None] * self.product_DH)
        hidden = self.query_side(query_D) + side_NH + product_NH + inputs_NG @ self.features_GH
        for weight, bias in self.layers:
            hidden = np.maximum(hidden, 0.0) @ weight + bias
        return np.asarray(hidden + inputs_NG @ self.shortcut_GL, dtype=np.float32)


def open_ranker(folder: Path, cosine_centre: float, cosine_scale: float) -> RankerWeights:
    """Read ranker.safetensors of a student folder. Raises ModelError when it is missing or not a ranker."""
    try:
        arrays = {name: np.ascontiguousarray(array.T) for name, array in load_file(folder / RANKER_FILE).items()}
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
        )
    except (OSError, KeyError, SafetensorError) as cause:
        raise ModelError(
            f"{folder}/{RANKER_FILE}: not a student's ranker ({cause}). Export the student again."
        ) from cause
