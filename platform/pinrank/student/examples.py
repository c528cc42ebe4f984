"""From soft labels, judgments and pin text to what the student trains on."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.errors import JudgmentError
from pinrank.faults import Fault, refuse_unknown_pins, split
from pinrank.levels import NUM_LEVELS, probabilities
from pinrank.lexical import READ
from pinrank.soft_labels import logits_of, places, unusable_labels

EXAMPLES = pa.schema(
    [
        ("query", pa.string()),
        ("query_locale", pa.string()),
        ("pin_id", pa.string()),
        *((name, pa.string()) for name in READ),
        ("source", pa.string()),
        ("target", pa.list_(pa.float32(), NUM_LEVELS)),  # P(level 1..5) that the student should give
        ("temperature", pa.float32()),  # at which target was made and the student's logits are read
        ("weight", pa.float32()),  # of the row in the loss
        ("grade", pa.float32()),  # a human's relevance in 0..1; null in rows of the teacher
    ]
)
"""A pair with its pin's text and the distribution to learn."""

HUMAN_CERTAINTY = 0.9
"""Target of a human's level; the rest goes to its neighbours, as raters disagree by one level more than by four."""


def soft_examples(
    soft_labels: pa.Table,
    pin_text: pa.Table,
    temperature: float,
    where: str,
    weight_N: NDArray[np.float32] | None = None,
) -> tuple[pa.Table, pa.Table, list[Fault]]:
    """The teacher's grades as EXAMPLES, a record of the labels that cannot be used, and their faults.

    A label is set aside when its pin has no text, when the text has changed since the teacher read it, or when a logit
    is not finite. Every label weighs 1 unless weight_N says what each of them does.
    """
    found = unusable_labels(soft_labels, pin_text)
    kept, record = split(soft_labels, found, where)
    keep_N = np.ones(soft_labels.num_rows, dtype=bool)
    keep_N[[row for each in found for row in each.rows.tolist()]] = False
    every_N = np.ones(len(keep_N), dtype=np.float32) if weight_N is None else weight_N
    targets_NL = probabilities(logits_of(kept), temperature)
    place, _ = places(kept["pin_id"], pin_text)
    return _examples(kept, pin_text, place, targets_NL, temperature, pa.array(every_N[keep_N])), record, found


def human_examples(judgments: pa.Table, pin_text: pa.Table, weight: float) -> pa.Table:
    """Judgments as EXAMPLES; JudgmentError when a judged pin has no text.

    The target puts HUMAN_CERTAINTY on the human's level and the rest on its neighbours.
    """
    place, known = places(judgments["pin_id"], pin_text)
    missing = judgments["pin_id"].filter(pa.array(~known)).unique().to_pylist()
    refuse_unknown_pins(missing, "judgments", "judged pins", JudgmentError)
    levels_N = judgments["level"].to_numpy().astype(np.int64)
    weight_N = np.full(judgments.num_rows, weight, dtype=np.float32)
    return _examples(judgments, pin_text, place, human_targets(levels_N), 1.0, pa.array(weight_N))


def human_targets(levels_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """A distribution for each human level, float64[N, 5]."""
    smoothing_LL = np.eye(NUM_LEVELS) * HUMAN_CERTAINTY
    for level in range(NUM_LEVELS):
        beside = [other for other in (level - 1, level + 1) if 0 <= other < NUM_LEVELS]
        smoothing_LL[level, beside] = (1 - HUMAN_CERTAINTY) / len(beside)
    return np.asarray(smoothing_LL[levels_N - 1])


def shuffled(examples: pa.Table, seed: int) -> pa.Table:
    """The rows in an order that depends on the seed alone."""
    return examples.take(pa.array(np.random.default_rng(seed).permutation(examples.num_rows)))


def _examples(
    rows: pa.Table,
    pin_text: pa.Table,
    place: NDArray[np.int64],
    targets_NL: NDArray[np.float64],
    temperature: float,
    weights: pa.Array,
) -> pa.Table:
    texts = pin_text.select(list(READ)).take(pa.array(place))
    grades = _grades(rows) if "level" in rows.schema.names else pa.nulls(rows.num_rows, pa.float32())
    columns = {
        "query": rows["query"],
        "query_locale": rows["query_locale"],
        "pin_id": rows["pin_id"],
        **{name: texts[name] for name in READ},
        "source": rows["source"],
        "target": pa.FixedSizeListArray.from_arrays(pa.array(targets_NL.ravel(), pa.float32()), NUM_LEVELS),
        "temperature": pa.array(np.full(rows.num_rows, temperature), pa.float32()),
        "weight": weights,
        "grade": grades,
    }
    return pa.table(columns, schema=EXAMPLES)


def _grades(judgments: pa.Table) -> pa.ChunkedArray:
    """The human's relevance where it is known, else the level on 0..1."""
    by_level = pc.divide(pc.subtract(judgments["level"].cast(pa.float32()), 1.0), float(NUM_LEVELS - 1))
    return pc.coalesce(judgments["relevance"].cast(pa.float32()), by_level.cast(pa.float32()))
