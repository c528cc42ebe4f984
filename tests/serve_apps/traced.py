"""Spans that the service wrote into a file."""

import json
import time
from pathlib import Path
from typing import Any

WRITTEN_TIMEOUT_S = 20


def spans_in(file: Path, trace_id: str, number: int) -> dict[str, dict[str, Any]]:
    """The spans of one trace by their names, once there are so many: they are written in batches."""
    deadline = time.monotonic() + WRITTEN_TIMEOUT_S
    while True:
        lines = file.read_text().splitlines() if file.exists() else []
        spans = [span for span in map(json.loads, lines) if span["context"]["trace_id"] == f"0x{trace_id}"]
        if len(spans) >= number:
            by_name = {span["name"]: span for span in spans}
            assert len(by_name) == len(spans) == number
            return by_name
        assert time.monotonic() < deadline, f"{len(spans)} spans of {trace_id} in {file}, expected {number}"
        time.sleep(0.2)
