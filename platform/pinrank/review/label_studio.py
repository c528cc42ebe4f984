"""Review tasks as Label Studio reads them, and the labelling page that they belong to.

The form is its "basic JSON" (https://labelstud.io/guide/tasks): a list of tasks, each with `data`, of which the page
shows what it names, and `predictions`, one a model.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pinrank.durable import write_text
from pinrank.levels import LEVELS, NAMES
from pinrank.teacher.frame import guideline
from pinrank.text import FIELDS

CONTROL = "level"
"""The name of the choice on the page, by which an export's answers are found."""

OBJECT = "query"
"""What the choice is about."""

TASKS, PAGE, GUIDELINE = "tasks.json", "label_config.xml", "guideline.md"


def task(data: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One task. `data` holds the text fields, image_url and what names the pair."""
    return {"data": dict(data), "predictions": list(predictions)}


def prediction(model_version: str, level: int, probability: float) -> dict[str, Any]:
    """A model's level of one pair, and how sure it is, as a task carries it."""
    choice = {"choices": [str(level)]}
    result = {"id": "level", "from_name": CONTROL, "to_name": OBJECT, "type": "choices", "value": choice}
    return {"model_version": model_version, "score": round(probability, 6), "result": [result]}


def page(fields: Sequence[str], with_image: bool) -> str:
    """The page as XML: the query, the picture, the fields of the pin that some task has, and the five levels."""
    view = ElementTree.Element("View")
    _text(view, "Query", OBJECT)
    if with_image:
        ElementTree.SubElement(view, "Image", name="image", value="$image_url", maxWidth="480px")
    for name in FIELDS:
        if name in fields:
            _text(view, name.replace("_", " ").capitalize(), name)
    options = {"name": CONTROL, "toName": OBJECT, "choice": "single-radio", "required": "true"}
    choices = ElementTree.SubElement(view, "Choices", options)
    for level, meaning in zip(LEVELS[::-1], NAMES[::-1], strict=True):
        ElementTree.SubElement(choices, "Choice", value=str(level), hint=meaning, hotkey=str(level))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def write(tasks: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Write the tasks, their page and the guideline into a folder, each in one rename; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = [name for name in FIELDS if any(each["data"][name] for each in tasks)]
    with_image = any(each["data"]["image_url"] for each in tasks)
    contents = {
        TASKS: json.dumps(list(tasks), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        PAGE: page(fields, with_image),
        GUIDELINE: guideline() + "\n",
    }
    for name, content in contents.items():
        write_text(folder / name, content)
    return [str(folder / name) for name in contents]


def _text(view: ElementTree.Element, title: str, name: str) -> None:
    ElementTree.SubElement(view, "Header", value=title, size="5")
    ElementTree.SubElement(view, "Text", name=name, value=f"${name}")
