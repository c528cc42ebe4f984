"""From judgments to training examples."""

import pyarrow as pa
import pytest

from pinrank.errors import JudgmentError
from pinrank.tables import JUDGMENTS, PIN_TEXT
from pinrank.teacher.examples import judged_examples
from pinrank.text import TextSettings


def judgments(*rows: tuple[str, str, str]) -> pa.Table:
    """(judgment id, pin id, split) rows of one query."""
    full = [
        {
            "judgment_id": name,
            "query_id": "q",
            "query": "shoe",
            "pin_id": pin,
            "level": 4,
            "source": "s",
            "split": split,
        }
        for name, pin, split in rows
    ]
    return pa.Table.from_pylist(full, schema=JUDGMENTS.schema)


PINS = pa.Table.from_pylist(
    [{"pin_id": name, "title": f"title {name}", "fingerprint": "f"} for name in "abc"], schema=PIN_TEXT.schema
)
TEXT = TextSettings()


def test_test_rows_never_become_examples():
    examples = judged_examples(judgments(("1", "a", "train"), ("2", "b", "dev"), ("3", "c", "test")), PINS, TEXT)
    assert sorted(zip(examples["split"].to_pylist(), examples["pin_id"].to_pylist(), strict=True)) == [
        ("dev", "b"),
        ("train", "a"),
    ]


def test_the_cap_keeps_the_same_rows_whatever_their_order():
    rows = [(str(number), "abc"[number % 3], "train") for number in range(20)] + [("dev", "b", "dev")]
    kept = [judged_examples(judgments(*order), PINS, TEXT, 5) for order in (rows, rows[::-1])]
    assert sorted(kept[0]["pin_id"].to_pylist()) == sorted(kept[1]["pin_id"].to_pylist())
    assert kept[0].num_rows == 6


def test_a_judged_pin_without_text_is_named():
    with pytest.raises(JudgmentError, match=r"1 judged pins have no row in pin_text \(e\.g\. ghost\)"):
        judged_examples(judgments(("1", "ghost", "train"), ("2", "a", "dev")), PINS, TEXT)


def test_a_missing_split_is_named():
    with pytest.raises(JudgmentError, match="no row has split 'dev'"):
        judged_examples(judgments(("1", "a", "train")), PINS, TEXT)
