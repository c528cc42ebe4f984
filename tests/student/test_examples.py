"""Soft labels and judgments become examples, and what cannot be used is set aside with its reason."""

import numpy as np
import pyarrow as pa
import pytest

from pinrank import tables
from pinrank.errors import JudgmentError
from pinrank.student.examples import EXAMPLES, human_examples, human_targets, shuffled, soft_examples
from pinrank.text import FIELDS, fingerprint

LOGITS = [0.0, 0.0, 0.0, 0.0, 2.0]


def pin_text() -> pa.Table:
    fields = [dict.fromkeys(FIELDS, "") | {"title": title} for title in ("pasta", "sofa")]
    rows = [
        {"pin_id": pin_id, "source": "s", "locale": "en", **field, "fingerprint": fingerprint(field)}
        for pin_id, field in zip("ab", fields, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=tables.PIN_TEXT.schema)


def label(pin_id: str, **changes: object) -> dict[str, object]:
    printed = dict(zip(*(pin_text()[name].to_pylist() for name in ("pin_id", "fingerprint")), strict=True))
    row = {"pair_key": f"q-{pin_id}", "query": "q", "pin_id": pin_id, "source": "s", "logits": LOGITS, "teacher": "t@0"}
    return row | {"fingerprint": printed.get(pin_id, "0"), "weight": 9.0} | changes


def labels(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=tables.SOFT_LABELS.schema)


def judgment(pin_id: str, level: int, split: str, relevance: float | None = None) -> dict[str, object]:
    known = {"judgment_id": f"{pin_id}{level}{split}", "query_id": "q1", "query": "q", "source": "s"}
    return known | {"pin_id": pin_id, "level": level, "split": split, "relevance": relevance}


def judgments(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=tables.JUDGMENTS.schema)


def test_a_soft_label_becomes_the_teachers_distribution_at_the_temperature() -> None:
    examples, unusable, faults = soft_examples(labels(label("b"), label("a")), pin_text(), 2.0, "soft_labels")
    assert examples.schema == EXAMPLES
    assert examples["title"].to_pylist() == ["sofa", "pasta"]
    e = np.exp(1.0)
    np.testing.assert_allclose(examples["target"][0].as_py(), [1 / (4 + e)] * 4 + [e / (4 + e)], rtol=1e-6)
    assert examples["temperature"].to_pylist() == [2.0, 2.0]
    assert examples["weight"].to_pylist() == [1.0, 1.0]
    assert (unusable.num_rows, faults) == (0, [])


def test_labels_that_cannot_be_used_are_set_aside_with_their_reason() -> None:
    rows = labels(
        label("a"),
        label("gone"),
        label("b", fingerprint="older"),
        label("a", pair_key="x", logits=[0.0, float("nan"), 0.0, 0.0, 0.0]),
    )
    examples, unusable, faults = soft_examples(rows, pin_text(), 1.0, "runs/soft_labels")
    assert examples.num_rows == 1
    assert unusable["row"].to_pylist() == [1, 2, 3]
    assert [reason.split("'")[1] for reason in unusable["reason"].to_pylist()] == ["pin_id", "fingerprint", "logits"]
    assert set(unusable["file"].to_pylist()) == {"runs/soft_labels"}
    assert len(faults) == 3


def test_a_label_weighs_what_it_is_said_to() -> None:
    rows = labels(label("gone"), label("a"), label("b"))
    examples, _, _ = soft_examples(rows, pin_text(), 1.0, "soft_labels", np.array([7.0, 0.5, 2.0], dtype=np.float32))
    assert examples["weight"].to_pylist() == [0.5, 2.0]


def test_a_judgment_gives_its_relevance_where_it_is_known_else_its_level() -> None:
    rows = judgments(judgment("a", 5, "train"), judgment("b", 1, "train", 0.125))
    examples = human_examples(rows, pin_text(), 0.5)
    assert examples["title"].to_pylist()[0] == "pasta"
    assert examples["grade"].to_pylist() == [1.0, 0.125]
    assert examples["weight"].to_pylist() == [0.5, 0.5]


def test_a_judged_pin_without_text_is_an_error_that_names_it() -> None:
    with pytest.raises(JudgmentError, match=r"1 judged pins.*gone"):
        human_examples(judgments(judgment("gone", 5, "train")), pin_text(), 1.0)


def test_a_human_level_leaves_a_little_for_its_neighbours() -> None:
    targets = human_targets(np.array([1, 3, 5]))
    np.testing.assert_allclose(targets, [[0.9, 0.1, 0, 0, 0], [0, 0.05, 0.9, 0.05, 0], [0, 0, 0, 0.1, 0.9]])


def test_shuffling_depends_on_the_seed_alone() -> None:
    rows = pa.table({"row": range(50)})
    assert shuffled(rows, 1).equals(shuffled(rows, 1))
    assert not shuffled(rows, 1).equals(shuffled(rows, 2))
    assert sorted(shuffled(rows, 1)["row"].to_pylist()) == list(range(50))
