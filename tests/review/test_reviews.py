"""A Label Studio export becomes judgments that know their query, their split and their reviewer."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.datasets.query_groups import splits_by_text
from pinrank.errors import TableError
from pinrank.review.answers import Export, read_export
from pinrank.review.reviews import answer_faults, as_judgments, merged, overtaken
from pinrank.tables import JUDGMENTS, faults
from tests.review.small_tables import GRADES, judgments, pin_text

PINS = pin_text().column("pin_id")
KNOWN = judgments(GRADES)


def annotation(number: int, level: str | int | None, by: object = 1, **others: object) -> dict[str, Any]:
    """An annotation as the documented example has it."""
    value = {"choices": [str(level)]}
    result = {"id": "Dx_aB91ISN", "from_name": "level", "to_name": "query", "type": "choices", "value": value}
    made = {
        "id": number,
        "result": [] if level is None else [result],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-03-09T22:16:08.728353Z",
        "updated_at": "2026-03-09T22:16:08.728378Z",
        "lead_time": 4.288,
        "result_count": 0,
        "task": 1,
        "completed_by": by,
    }
    return made | others


def task(query: str, pin_id: str, *annotations: dict[str, Any], query_id: str = "", **others: object) -> dict[str, Any]:
    data = {"pair_key": "k", "query": query, "query_id": query_id, "query_locale": "en", "pin_id": pin_id}
    return {
        "id": 1,
        "data": data | {"source": "shop", "title": "boots"} | others,
        "annotations": list(annotations),
        "drafts": [],
        "predictions": [],
    }


def exported(folder: Path, *tasks: dict[str, Any]) -> Export:
    (folder / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    return read_export(str(folder / "export.json"))


def reviewed(export: Export) -> list[dict[str, Any]]:
    found = answer_faults(export.answers, PINS)
    assert found == []
    return as_judgments(export.answers, KNOWN, "ls-").to_pylist()


def test_a_review_keeps_the_query_its_split_and_its_kind(tmp_path: Path) -> None:
    (row,) = reviewed(exported(tmp_path, task("Red Boots", "a", annotation(7, 4), query_id="q1")))
    assert (row["query_id"], row["split"], row["source"], row["pair_type"]) == ("q1", "train", "shop", "typed")
    assert (row["level"], row["relevance"], row["annotator_id"]) == (4, 0.75, "ls-1")


def test_several_reviewers_of_a_pair_are_several_judgments(tmp_path: Path) -> None:
    both = task("Red Boots", "a", annotation(7, 4), annotation(8, 2, by={"id": 12, "email": "someone@example.com"}))
    rows = reviewed(exported(tmp_path, both))
    assert [(row["annotator_id"], row["level"]) for row in rows] == [("ls-1", 4), ("ls-12", 2)]
    assert len({row["judgment_id"] for row in rows}) == 2


def test_another_spelling_of_a_known_query_is_that_query(tmp_path: Path) -> None:
    (row,) = reviewed(exported(tmp_path, task("red  BOOTS", "d", annotation(7, 1))))
    assert (row["query_id"], row["query"], row["split"], row["pair_type"]) == ("q1", "Red Boots", "train", "")


def test_a_new_query_gets_the_split_of_its_text(tmp_path: Path) -> None:
    texts = [f"boat {number}" for number in range(12)]
    rows = reviewed(exported(tmp_path, *(task(text.upper(), "d", annotation(7, 3)) for text in texts)))
    assert [row["split"] for row in rows] == splits_by_text(texts)
    assert len({row["query_id"] for row in rows}) == 12
    assert faults(merged(KNOWN, as_judgments(exported(tmp_path).answers, KNOWN, "ls-")).judgments, JUDGMENTS) == []


def test_a_query_known_from_another_source_stays_in_its_split(tmp_path: Path) -> None:
    (row,) = reviewed(exported(tmp_path, task("cake", "d", annotation(7, 3), source="web")))
    assert row["split"] == "test"
    assert row["query_id"] != "q3"


def test_skipped_empty_and_untouched_are_counted(tmp_path: Path) -> None:
    comment = {"from_name": "note", "to_name": "query", "type": "textarea", "value": {"text": ["hm"]}}
    answered = task("cake", "b", annotation(1, 5), annotation(2, 5, was_cancelled=True), annotation(3, None))
    export = exported(tmp_path, answered, task("cake", "d"), task("cake", "a", annotation(4, None, result=[comment])))
    assert (export.answers.num_rows, export.num_skipped, export.num_empty, export.num_unanswered) == (1, 1, 2, 1)


@pytest.mark.parametrize("level", ["6", "0", "good", "5 highly relevant", ""])
def test_what_is_no_level_is_found(tmp_path: Path, level: str) -> None:
    (found,) = answer_faults(exported(tmp_path, task("cake", "b", annotation(1, level))).answers, PINS)
    assert (found.column, found.reason, found.rows.tolist()) == ("choice", "is outside 1..5", [0])


def test_two_levels_at_once_are_none(tmp_path: Path) -> None:
    both = annotation(1, 5)
    both["result"][0]["value"] = {"choices": ["5", "4"]}
    assert len(answer_faults(exported(tmp_path, task("cake", "b", both)).answers, PINS)) == 1


def test_a_rating_is_a_level_too(tmp_path: Path) -> None:
    stars = annotation(1, None, result=[{"from_name": "level", "type": "rating", "value": {"rating": 4}}])
    assert reviewed(exported(tmp_path, task("cake", "b", stars)))[0]["level"] == 4


def test_a_task_of_another_project_is_found(tmp_path: Path) -> None:
    other = {"data": {"image": "https://example.com/1.jpg"}, "annotations": [annotation(1, 5)]}
    found = answer_faults(exported(tmp_path, other, task("cake", "gone", annotation(2, 5))).answers, PINS)
    assert [(each.column, each.rows.tolist()) for each in found] == [
        ("query", [0]),
        ("pin_id", [0]),
        ("source", [0]),
        ("pin_id", [1]),
    ]


def test_the_last_answer_of_a_reviewer_stands(tmp_path: Path) -> None:
    early, late = "2026-03-09T22:16:08Z", "2026-03-10T09:00:00Z"
    answers = exported(
        tmp_path,
        task("cake", "b", annotation(9, 5, updated_at=early), annotation(3, 2, updated_at=late)),
        task("CAKE", "b", annotation(4, 1, by=2, updated_at=late), annotation(11, 3, by=2, updated_at=late)),
    ).answers
    (found,) = overtaken(answers, [])
    assert found.rows.tolist() == [0, 2]


def test_a_later_answer_that_is_no_level_overtakes_nothing(tmp_path: Path) -> None:
    late = {"updated_at": "2027-01-01T00:00:00Z"}
    answers = exported(tmp_path, task("cake", "b", annotation(9, 5), annotation(10, "7", **late))).answers
    assert overtaken(answers, answer_faults(answers, PINS)) == []


def test_an_export_that_comes_again_takes_its_own_place(tmp_path: Path) -> None:
    first, second = (
        as_judgments(exported(tmp_path, task("cake", "b", annotation(7, level))).answers, KNOWN, "ls-")
        for level in (1, 4)
    )
    once = merged(KNOWN, first)
    twice = merged(once.judgments, second)
    assert (once.num_replaced, twice.num_replaced) == (0, 1)
    assert twice.judgments.num_rows == KNOWN.num_rows + 1
    assert twice.judgments.column("level").to_pylist()[-1] == 4


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no json", "no JSON"),
        ('{"tasks": []}', "no list of tasks"),
        ('[{"query": "cake", "level": "5", "annotator": 1}]', "task 0 has no data .* not as JSON-MIN"),
        ("[7]", "task 0 has no data"),
    ],
)
def test_a_file_of_another_form_is_named_with_the_mend(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "export.json").write_text(content)
    with pytest.raises(TableError, match=rf"export\.json: .*{told}.* Export|export\.json: {told}"):
        read_export(str(tmp_path / "export.json"))


def test_a_missing_export_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"gone\.json: cannot be read"):
        read_export(str(tmp_path / "gone.json"))


@pytest.mark.parametrize("result", [5, "5", {}, [5], [{"from_name": "level"}], [{"from_name": "level", "value": [5]}]])
def test_a_malformed_result_is_empty_or_no_level(tmp_path: Path, result: object) -> None:
    export = exported(tmp_path, task("cake", "b", annotation(1, None, result=result)))
    assert export.num_empty + len(answer_faults(export.answers, PINS)) == 1


def test_half_a_surrogate_pair_is_no_letter(tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text(json.dumps([task("cake \ud800", "b", annotation(1, 5))]))
    assert read_export(str(tmp_path / "export.json")).answers.column("query").to_pylist() == ["cake ?"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "annotations", "result", "value", "choices", "from_name", "query", "id", "level"]),
            inner,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=3))
def test_whatever_an_export_holds_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, tasks: list) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    try:
        export = read_export(str(folder / "export.json"))
    except TableError:
        return
    found = answer_faults(export.answers, PINS)
    assert isinstance(export.answers, pa.Table)
    assert {row for each in found for row in each.rows.tolist()} <= set(range(export.answers.num_rows))
