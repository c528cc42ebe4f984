"""From judgments to training examples."""

from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.errors import JudgmentError, TableError
from pinrank.tables import JUDGMENTS, PIN_TEXT, SOFT_LABELS
from pinrank.teacher.examples import EXAMPLES, judged_examples, tokenised, weak_examples
from pinrank.teacher.tokens import PairTokenizer
from pinrank.text import TextSettings, normalise_query


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


def weak_label(pin: str, logits: list[float], fingerprint: str = "f") -> pa.Table:
    row = {
        "pair_key": "k",
        "query": "shoe",
        "pin_id": pin,
        "logits": logits,
        "teacher": "t",
        "fingerprint": fingerprint,
    }
    return pa.Table.from_pylist([row], schema=SOFT_LABELS.schema)


def test_a_soft_label_becomes_an_example_with_its_softmax_as_target():
    (row,) = weak_examples(weak_label("a", [0.0, 0.0, 0.0, 0.0, 100.0]), PINS, TEXT).to_pylist()
    assert (row["split"], row["pin_id"], row["level"]) == ("weak", "a", 5)
    assert row["target"] == pytest.approx([0, 0, 0, 0, 1])


def test_a_soft_label_of_a_query_that_has_come_to_dev_or_test_is_left_out():
    label = weak_label("a", [0.0] * 5)
    query = normalise_query(label["query"][0].as_py())
    assert weak_examples(label, PINS, TEXT, frozenset({"another"})).num_rows == 1
    assert weak_examples(label, PINS, TEXT, frozenset({query})).num_rows == 0


def test_a_soft_label_of_an_unknown_or_changed_pin_is_refused():
    with pytest.raises(TableError, match=r"weak_labels: 1 pins have no row in pin_text \(e\.g\. ghost\)"):
        weak_examples(weak_label("ghost", [0.0] * 5), PINS, TEXT)
    with pytest.raises(TableError, match="weak_labels: 1 rows grade another text of their pin"):
        weak_examples(weak_label("a", [0.0] * 5, fingerprint="of old"), PINS, TEXT)


def test_annotators_of_a_pair_share_its_target_and_those_of_another_source_do_not(tiny_bert_dir: Path):
    rows = [("s", 1), ("s", 5), ("t", 5)]
    same = {"query_id": "1", "query": "shoe", "pin_id": "a", "pin": "title a", "split": "train"}
    examples = pa.Table.from_pylist([{**same, "source": source, "level": level} for source, level in rows], EXAMPLES)
    found = tokenised(examples, "train", PairTokenizer.open(str(tiny_bert_dir), TEXT), "annotators")
    assert found.targets_NL.tolist() == [[0.5, 0, 0, 0, 0.5], [0.5, 0, 0, 0, 0.5], [0, 0, 0, 0, 1]]
