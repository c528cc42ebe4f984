"""Judgments, pins, pin_text and soft labels of a few pairs, small enough to be checked by eye."""

from pathlib import Path

import pyarrow as pa

from pinrank.tables import JUDGMENTS, PIN_TEXT, PINS, SOFT_LABELS, write
from pinrank.text import FIELDS, fingerprint, pair_key

TITLES = {"a": "red boots", "b": "blue cake", "c": "old house", "d": "green boat"}
IMAGES = {"a": "https://pictures.example/a.png"}

GRADES = [
    # query_id, query, split, pin, annotator, level, locale
    ("q1", "Red Boots", "train", "a", "x", 5, "en"),
    ("q1", "Red Boots", "train", "a", "y", 1, "en"),
    ("q1", "Red Boots", "train", "b", "x", 2, "en"),
    ("q2", "altes haus", "dev", "c", "x", 5, "de"),
    ("q3", "cake", "test", "b", "x", 5, "en"),
]
SURE = {1: [9.0, 0, 0, 0, 0], 3: [0, 0, 9.0, 0, 0], 5: [0, 0, 0, 0, 9.0]}


def judgments(rows: list[tuple[str, str, str, str, str, int, str]]) -> pa.Table:
    """JUDGMENTS of rows as in GRADES."""
    made = [
        {"judgment_id": f"j{number}", "query_id": query_id, "query": query, "query_locale": locale, "pin_id": pin}
        | {"level": level, "annotator_id": who, "source": "shop", "pair_type": "typed", "split": split}
        for number, (query_id, query, split, pin, who, level, locale) in enumerate(rows)
    ]
    return pa.Table.from_pylist(made, JUDGMENTS.schema)


def pin_text() -> pa.Table:
    """PIN_TEXT of TITLES."""
    rows = []
    for pin_id, title in TITLES.items():
        fields = dict.fromkeys(FIELDS, "") | {"title": title}
        rows.append({"pin_id": pin_id, "source": "shop", "locale": "en", **fields, "fingerprint": fingerprint(fields)})
    return pa.Table.from_pylist(rows, PIN_TEXT.schema)


def soft_labels(*graded: tuple[str, str, int], teacher: str = "tiny@0") -> pa.Table:
    """SOFT_LABELS of (query, pin, level), sure of the level."""
    printed = {row["pin_id"]: row["fingerprint"] for row in pin_text().to_pylist()}
    rows = [
        {"pair_key": pair_key(query, pin), "query": query, "query_locale": "en", "pin_id": pin, "source": "shop"}
        | {"weight": 1.0, "logits": SURE[level], "num_tokens": 9, "teacher": teacher}
        | {"fingerprint": printed.get(pin, "0")}
        for query, pin, level in graded
    ]
    return pa.Table.from_pylist(rows, SOFT_LABELS.schema)


def write_tables(folder: Path) -> str:
    """Write judgments, pins and pin_text; returns the folder's path."""
    write(judgments(GRADES), str(folder / "judgments"), JUDGMENTS)
    write(pin_text(), str(folder / "pin_text"), PIN_TEXT)
    pins = [{"pin_id": pin, "title": title, "image_url": IMAGES.get(pin)} for pin, title in TITLES.items()]
    write(pa.Table.from_pylist(pins, PINS.schema), str(folder / "pins"), PINS)
    return str(folder)


def write_labels(folder: Path, name: str, labels: pa.Table) -> str:
    """Write SOFT_LABELS; returns their path."""
    write(labels, str(folder / name), SOFT_LABELS)
    return str(folder / name)
