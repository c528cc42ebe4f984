"""pipelines.ablate_text_fields from end to end on a tiny generated world."""

from pathlib import Path

import pytest

from pinrank.errors import JudgmentError
from pinrank.pipeline import parse
from pinrank.teacher.card import read_card
from pinrank.text import FIELDS
from pipelines.ablate_text_fields import AblateTextFields, main
from tests.pipelines.tiny_comparison import read_report, write_config, write_tables


def test_each_set_of_fields_is_trained_once_and_empty_fields_are_named(tiny_bert_dir: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, write_tables(tmp_path / "tables"), tiny_bert_dir, split="dev")
    off = ("--teacher.text.budgets.link_title", "0", "--teacher.text.budgets.link_description", "0")
    done = main(parse(AblateTextFields, ["--config", config, *off]))
    found = read_report(tmp_path, "dev")
    added, left_out = found["sections"]
    assert list(added["figures"]) == ["caption only", "+ title and description"]
    assert added["contrasts"][0]["against"] == {"+ title and description": "caption only"}
    without = ["without caption", "without title and description"]
    assert list(left_out["figures"]) == ["all fields", *without]
    assert left_out["contrasts"][0]["against"] == dict.fromkeys(without, "all fields")
    assert left_out["figures"]["all fields"] == added["figures"]["+ title and description"]
    assert left_out["figures"]["without title and description"] == added["figures"]["caption only"]
    assert done.details["trained"] == ["caption", "caption+title_and_description", "title_and_description"]
    empty, switched_off = found["notes"][:2]
    assert "board_titles, query_tokens" in empty and "link_title, link_description" in switched_off
    for folder in done.details["trained"]:
        budgets = read_card(str(tmp_path / "out/teachers" / folder)).text.budgets.model_dump()
        assert {name for name, budget in budgets.items() if budget} <= {"caption", "title", "description"}
        assert bool(budgets["caption"]) == ("caption" in folder) and bool(budgets["title"]) == ("title" in folder)
    assert list(found["filled"]["measured on dev"]) == list(FIELDS)


def test_pins_without_any_text_are_an_error(tmp_path: Path) -> None:
    budgets = dict.fromkeys(FIELDS, 0) | {"board_titles": 8}
    tables = write_tables(tmp_path / "tables")
    config = write_config(tmp_path, tables, tmp_path, teacher={"text": {"budgets": budgets}})
    with pytest.raises(JudgmentError, match="no judged pin has text in a field that has a budget"):
        main(parse(AblateTextFields, ["--config", config]))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_the_configs_choose_on_dev(root: Path, profile: str) -> None:
    settings = parse(AblateTextFields, ["--config", str(root / f"pipelines/configs/{profile}/ablate_text_fields.yaml")])
    assert (settings.output, settings.split) == (Path(f"runs/{profile}/text_fields").absolute(), "dev")
