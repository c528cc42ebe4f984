"""The tasks and their page, in the form that Label Studio documents."""

import json
from pathlib import Path
from xml.etree import ElementTree

from pinrank.review.label_studio import page, prediction, task, write
from pinrank.teacher.frame import guideline
from pinrank.text import FIELDS

DATA = dict.fromkeys(FIELDS, "") | {"query": "<b>boots</b> & co", "title": "boots", "image_url": ""}


def test_a_prediction_answers_the_pages_own_control() -> None:
    root = ElementTree.fromstring(page(["title"], with_image=False))
    made = prediction("teacher t@1", 4, 0.75)
    (result,) = made["result"]
    control = root.find("Choices")
    assert control is not None
    assert (control.get("name"), control.get("toName")) == (result["from_name"], result["to_name"])
    assert root.find(f"Text[@name='{result['to_name']}']") is not None
    assert result["type"] == "choices"
    assert result["value"]["choices"][0] in [choice.get("value") for choice in control]
    assert (made["model_version"], made["score"]) == ("teacher t@1", 0.75)


def test_the_page_offers_five_levels_the_best_first() -> None:
    choices = ElementTree.fromstring(page(["title"], with_image=False)).find("Choices")
    assert choices is not None
    assert [choice.get("value") for choice in choices] == ["5", "4", "3", "2", "1"]
    assert choices[0].get("hint") == "highly relevant"


def test_the_page_shows_what_some_task_has() -> None:
    root = ElementTree.fromstring(page(["caption", "title"], with_image=True))
    assert [text.get("value") for text in root.findall("Text")] == ["$query", "$title", "$caption"]
    assert root.find("Image[@value='$image_url']") is not None
    assert ElementTree.fromstring(page([], with_image=False)).find("Image") is None


def test_tasks_page_and_guideline_lie_beside_each_other(tmp_path: Path) -> None:
    write([task(DATA, [])], tmp_path)
    (read,) = json.loads((tmp_path / "tasks.json").read_text())
    assert read == {"data": DATA, "predictions": []}
    assert (tmp_path / "guideline.md").read_text().strip() == guideline()
    assert [each.get("name") for each in ElementTree.parse(tmp_path / "label_config.xml").getroot().iter("Text")] == [
        "query",
        "title",
    ]
