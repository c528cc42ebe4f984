"""Whether a query tower in ONNX is good enough to be published: nDCG@10 on dev may fall by little.

Pins keep their vectors from torch, as the pin store holds them; only queries are encoded by ONNX.
"""

import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pinrank.errors import ModelError
from pinrank.evaluation import metrics
from pinrank.evaluation.task import Task
from pinrank.levels import score
from pinrank.precision import Precision
from pinrank.student import onnx
from pinrank.student.export import Encoder, StudentBundle
from pinrank.student.onnx import Format, OnnxEncoder, OnnxFigures

log = logging.getLogger(__name__)

LARGEST_LOSS = 0.005
"""By how much nDCG@10 on dev may fall."""


class Remembered:
    """An encoder that encodes each text once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def encode(self, texts: Sequence[str], max_tokens: int, precision: Precision = "float32") -> NDArray[np.float32]:
        """As the encoder does, always with the same max_tokens and precision."""
        new = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        self._vectors |= dict(zip(new, self.encoder.encode(new, max_tokens, precision), strict=True))
        return np.stack([self._vectors[text] for text in texts])


def choose(bundle: StudentBundle, dev: Task | None, formats: Sequence[Format]) -> dict[Format, OnnxFigures]:
    """Write the formats into the bundle's folder, remove those that dev refuses, and say why.

    Raises SettingsError when a package is missing.
    """
    onnx.keep(bundle.folder, ())
    if not formats:
        return {}
    if dev is None:
        return {form: OnnxFigures(published=False, reason="there are no dev pairs to try it on") for form in formats}
    fp32 = onnx.file_of(bundle.folder, "fp32")
    try:
        onnx.write(bundle.encoder, fp32)
    except ModelError as cause:
        return {form: OnnxFigures(published=False, reason=str(cause)) for form in formats}
    if "int8" in formats:
        onnx.quantise(fp32, onnx.file_of(bundle.folder, "int8"))
    tried = bundle.with_encoders(bundle.encoder, Remembered(bundle.pin_encoder))
    before = ndcg(tried, dev)
    found = {form: _figures(form, tried, dev, before) for form in formats}
    onnx.keep(bundle.folder, [form for form, figures in found.items() if figures.published])
    return found


def _figures(form: Format, bundle: StudentBundle, dev: Task, before: float) -> OnnxFigures:
    path = onnx.file_of(bundle.folder, form)
    encoder = OnnxEncoder(path, bundle.encoder.tokenizer)
    reached = ndcg(bundle.with_encoders(encoder, bundle.pin_encoder), dev)
    loss = before - reached
    published = not math.isnan(loss) and loss <= LARGEST_LOSS
    reason = f"nDCG@10 on dev {before:.4f} with torch, {reached:.4f} with ONNX"
    if not published:
        reason = f"{reason}: more than {LARGEST_LOSS} is lost, or nothing can be measured"
    log.info("query tower as ONNX %s: %s; %s", form, "published" if published else "not published", reason)
    known = not math.isnan(loss)
    return OnnxFigures(
        published=published,
        reason=reason,
        ndcg_at_10=round(reached, 6) if known else None,
        loss=round(loss, 6) if known else None,
        largest_difference=round(largest_difference(encoder, bundle, dev), 8),
        num_bytes=path.stat().st_size,
    )


def ndcg(bundle: StudentBundle, dev: Task) -> float:
    """nDCG@10 of a bundle's calibrated score over the dev queries; nan where no query has two levels."""
    logits_NL = bundle.grade(dev.pairs, locales=dev.judged.locales_N.tolist())
    scores_N = score(bundle.calibration.probabilities(logits_NL))
    return float(metrics.mean(metrics.ndcg_by_query(dev.judged.levels_N, scores_N, dev.judged.queries_N, 10)))


def largest_difference(encoder: Encoder, bundle: StudentBundle, dev: Task) -> float:
    """Between two encoders' vectors of the dev queries, in one number."""
    queries = list(dict.fromkeys(query for query, _ in dev.pairs))
    ours, theirs = (each.encode(queries, bundle.text.max_query_tokens) for each in (bundle.encoder, encoder))
    return float(np.abs(ours - theirs).max())
