"""From judgments and pin text to what the teacher trains on."""

import hashlib

import pyarrow as pa

from pinrank.errors import JudgmentError
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
    judgments: pa.Table, pin_text_rows: pa.Table, text: TextSettings, max_pairs_per_source: int | None = None
) -> pa.Table:
    """The train and dev judgments as EXAMPLES; never a test row.

    `max_pairs_per_source` keeps, of each source's train pairs, those with the smallest hash of their id: the same
    ones whatever the order of rows. Raises JudgmentError when a pin has no text row or a split is empty.
    """
    rows = [row for row in judgments.to_pylist() if row["split"] in SPLITS]
    if max_pairs_per_source is not None:
        rows = _capped(rows, max_pairs_per_source)
    texts = {row["pin_id"]: pin_text(row, text) for row in pin_text_rows.select(["pin_id", *FIELDS]).to_pylist()}
    unknown = sorted({row["pin_id"] for row in rows} - texts.keys())
    if unknown:
        raise JudgmentError(
            f"judgments: {len(unknown)} judged pins have no row in pin_text (e.g. {', '.join(unknown[:3])}). Run "
            "python -m pipelines.build_pin_text on the same pins."
        )
    for split in SPLITS:
        if not any(row["split"] == split for row in rows):
            raise JudgmentError(f"judgments: no row has split '{split}'; training needs both {' and '.join(SPLITS)}.")
    examples = [{**row, "text": texts[row["pin_id"]]} for row in rows]
    return pa.Table.from_pylist(examples, schema=EXAMPLES)


def _capped(rows: list[dict], most: int) -> list[dict]:
    kept: dict[str, int] = {}
    chosen = []
    for row in sorted(rows, key=lambda row: hashlib.blake2b(row["judgment_id"].encode(), digest_size=8).digest()):
        if row["split"] == "train":
            kept[row["source"]] = kept.get(row["source"], 0) + 1
            if kept[row["source"]] > most:
                continue
        chosen.append(row)
    return chosen
