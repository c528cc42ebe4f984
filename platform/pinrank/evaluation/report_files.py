"""A comparison on disk: JSON for programs, Markdown for a repository, HTML for people."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pinrank.durable import write_text
from pinrank.evaluation.comparison import Report
from pinrank.evaluation.markdown import to_markdown
from pinrank.evaluation.page import to_page


def write_files(
    report: Report, record: dict[str, Any], folder: Path, name: str, page: Callable[[Report, str], str] = to_page
) -> list[str]:
    """Write FOLDER/NAME.json, .md and .html, each in one rename; returns their paths.

    `record` (settings, versions) goes into the JSON beside the report, and folded into the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "json": json.dumps(asdict(report) | record, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "md": to_markdown(report),
        "html": page(report, json.dumps(record, indent=2, ensure_ascii=False)),
    }
    for kind, content in contents.items():
        write_text(folder / f"{name}.{kind}", content)
    return [str(folder / f"{name}.{kind}") for kind in contents]
