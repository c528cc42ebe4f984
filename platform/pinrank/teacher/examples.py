"""From judgments and pin text to what the teacher trains on."""

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.errors import JudgmentError
from pinrank.sampling import capped_by_source
from pinrank.text import FIELDS, TextSettings, pin_text

EXAMPLES = pa.schema(
    [
        ("query", pa.string()),
        ("text", pa.string()),
        ("level", pa.int8()),
        ("relevance", pa.float32()),
        ("source", pa.string()),
        ("split", pa.string()),
    ]
)
"""A judged pair with the pin as text."""

SPLITS = ("train", "dev")


def judged_examples(
    judgments: pa.Table,
    pin_text_rows: pa.Table,
    text: TextSettings,
    max_pairs_per_source: int | None = None,
    max_dev_pairs_per_source: int | None = None,
) -> pa.Table:
    """The train and dev judgments as EXAMPLES; never a test row.

    The limits hold for each source of a split (pinrank.sampling.capped_by_source). Raises JudgmentError when a pin has
    no text row or a split is empty.
    """
    limits = dict(zip(SPLITS, (max_pairs_per_source, max_dev_pairs_per_source), strict=True))
    learning, dev = (
        capped_by_source(judgments.filter(pc.field("split") == split), limit) for split, limit in limits.items()
    )
    for split, of_split in zip(SPLITS, (learning, dev), strict=True):
        if not of_split.num_rows:
            raise JudgmentError(f"judgments: no row has split '{split}'; training needs both {' and '.join(SPLITS)}.")
    rows = [*learning.to_pylist(), *dev.to_pylist()]
    texts = {row["pin_id"]: pin_text(row, text) for row in pin_text_rows.select(["pin_id", *FIELDS]).to_pylist()}
    unknown = sorted({row["pin_id"] for row in rows} - texts.keys())
    if unknown:
        raise JudgmentError(
            f"judgments: {len(unknown)} judged pins have no row in pin_text (e.g. {', '.join(unknown[:3])}). Run "
            "python -m pipelines.build_pin_text on the same pins."
        )
    examples = [{**row, "text": texts[row["pin_id"]]} for row in rows]
    return pa.Table.from_pylist(examples, schema=EXAMPLES)
