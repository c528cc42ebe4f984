"""What reviewers answered, read from a Label Studio export (its JSON form, https://labelstud.io/guide/export).

An export is a list of tasks; a task has the `data` that it was made with and its `annotations`, one a reviewer: who
(`completed_by`), whether they skipped it (`was_cancelled`), and the `result` of each control of the page.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pinrank.errors import TableError
from pinrank.review.label_studio import CONTROL
from pinrank.review.tasks import NAMING

ANSWERS = pa.schema(
    [(name, pa.string()) for name in ("task_id", "annotation_id", "annotator_id", "updated_at", *NAMING, "choice")]
)
"""An annotation that says something, as text: what was chosen may be no level, and the data may name no pair."""


@dataclass(frozen=True)
class Export:
    """What an export holds."""

    answers: pa.Table  # ANSWERS
    num_skipped: int  # annotations of reviewers who passed the task on
    num_empty: int  # annotations without an answer to the control
    num_unanswered: int  # tasks that nobody has touched


def read_export(path: str) -> Export:
    """Read an export; TableError when it is no JSON, or JSON of another form."""
    tasks = _tasks(path)
    rows: list[dict[str, str | None]] = []
    skipped = empty = unanswered = 0
    for number, task in enumerate(tasks):
        annotations = _annotations(path, number, task)
        unanswered += not annotations
        for annotation in annotations:
            choice = _choice(annotation)
            if annotation.get("was_cancelled"):
                skipped += 1
            elif choice is None:
                empty += 1
            else:
                rows.append(_answer(task, annotation, choice))
    return Export(pa.Table.from_pylist(rows, ANSWERS), skipped, empty, unanswered)


def _tasks(path: str) -> list[Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as cause:
        raise TableError(
            f"{path}: cannot be read ({cause.strerror}). Name the file that Label Studio exported."
        ) from cause
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise TableError(f"{path}: no JSON: {cause}. Export the project again, as JSON.") from cause
    if not isinstance(content, list):
        raise TableError(f"{path}: holds no list of tasks. Export the project as JSON.")
    return content


def _annotations(path: str, number: int, task: Any) -> list[Mapping[str, Any]]:
    annotations = task.get("annotations") if isinstance(task, dict) else None
    if (
        not isinstance(annotations, list)
        or not isinstance(task.get("data"), dict)
        or not all(isinstance(each, dict) for each in annotations)
    ):
        raise TableError(
            f"{path}: task {number} has no data with a list of annotations. Export the project as JSON, not "
            "as JSON-MIN or CSV, which leave out who skipped what."
        )
    return annotations


def _answer(task: Mapping[str, Any], annotation: Mapping[str, Any], choice: str) -> dict[str, str | None]:
    by = annotation.get("completed_by")
    said = {
        "task_id": task.get("id"),
        "annotation_id": annotation.get("id"),
        "annotator_id": by.get("id") if isinstance(by, dict) else by,
        "updated_at": annotation.get("updated_at") or annotation.get("created_at"),
        **{name: task["data"].get(name) for name in NAMING},
        "choice": choice,
    }
    return {name: None if value is None else _text(value) for name, value in said.items()}


def _text(value: object) -> str:
    """A value as text that a table can hold: JSON may spell half a surrogate pair, which UTF-8 has not."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _choice(annotation: Mapping[str, Any]) -> str | None:
    """What was chosen, joined where it is several; None where the control was left alone."""
    results = annotation.get("result")
    for result in results if isinstance(results, list) else ():
        if isinstance(result, dict) and result.get("from_name") == CONTROL:
            value = result.get("value")
            chosen = value.get("choices", value.get("rating")) if isinstance(value, dict) else None
            return ", ".join(map(str, chosen)) if isinstance(chosen, list) else str(chosen)
    return None
