"""pinrank.evaluation.field_ablation: which sets of fields are trained, and what is said of those that are not."""

import pyarrow as pa
import pytest

from pinrank.evaluation import field_ablation
from pinrank.evaluation.field_ablation import GROUPS, FieldRow, cumulative, leave_one_out, present_groups, switched
from pinrank.tables import PIN_TEXT
from pinrank.text import FIELDS, FieldBudgets

THREE = ("caption", "title and description", "board titles")


def test_the_groups_hold_every_field_once() -> None:
    assert sorted(name for fields in GROUPS.values() for name in fields) == sorted(FIELDS)


def test_fields_are_added_one_after_the_other() -> None:
    assert cumulative(THREE) == [
        FieldRow("caption only", ("caption",), None),
        FieldRow("+ title and description", ("caption", "title and description"), "caption only"),
        FieldRow("+ board titles", THREE, "+ title and description"),
    ]


def test_each_field_is_left_out_once() -> None:
    rows = leave_one_out(THREE)
    assert [row.name for row in rows] == [
        "all fields",
        "without caption",
        "without title and description",
        "without board titles",
    ]
    assert [row.against for row in rows] == [None, "all fields", "all fields", "all fields"]
    assert rows[3].folder == cumulative(THREE)[1].folder == "caption+title_and_description"
    assert rows[0].folder == cumulative(THREE)[-1].folder
    assert leave_one_out(THREE[:1]) == [FieldRow("all fields", ("caption",), None)]


def test_a_group_is_present_with_one_field_that_has_text_and_a_budget() -> None:
    assert present_groups(FieldBudgets(), ["title", "caption"]) == ("caption", "title and description")
    assert present_groups(FieldBudgets(title=0), ["title", "caption"]) == ("caption",)
    assert present_groups(FieldBudgets(), []) == ()


def test_switched_keeps_the_budgets_of_its_groups() -> None:
    found = switched(FieldBudgets(title=7), ["title and description"])
    assert found.model_dump() == dict.fromkeys(FIELDS, 0) | {"title": 7, "description": FieldBudgets().description}


def test_shares_of_filled_fields_and_what_is_said_of_empty_ones() -> None:
    pins = pa.table(
        {
            "pin_id": ["a", "b", "c"],
            **{name: ["", None, ""] for name in ("source", "locale", *FIELDS)},
            "title": ["Red shoes", None, "never asked for"],
            "fingerprint": ["1", "2", "3"],
        },
        schema=PIN_TEXT.schema,
    )
    found = field_ablation.filled_shares(pins, {"a", "b"})
    assert found == dict.fromkeys(FIELDS, 0.0) | {"title": 0.5}
    assert field_ablation.filled_shares(pins, set()) == dict.fromkeys(FIELDS, 0.0)
    empty, off = field_ablation.notes(FieldBudgets(title=0), {"trained on": found})
    assert "description, caption, board_titles, query_tokens, link_title, link_description" in empty
    assert "budget of 0" in off and off.endswith("title.")
    assert field_ablation.notes(FieldBudgets(), {"all": dict.fromkeys(FIELDS, 1.0)}) == ()


@pytest.mark.parametrize("group", GROUPS)
def test_a_folder_is_a_name_without_blanks(group: str) -> None:
    assert " " not in FieldRow("any", (group,), None).folder
