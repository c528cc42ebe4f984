"""A pipeline run as its own process, as people and Ray run it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """How a job ended: exit code, its summary (empty unless it ended well), and what it told a person."""

    code: int
    summary: dict[str, Any]
    told: str


def run_job(root: Path, name: str, *arguments: str, cluster: str | None = None) -> Done:
    """`python -m pipelines.NAME ARGUMENTS` from the repository's root, on a running cluster or in its own session."""
    command = [sys.executable, "-m", f"pipelines.{name}", *arguments]
    environment = os.environ | ({"RAY_ADDRESS": cluster} if cluster else {})
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    last = ended.stdout.splitlines()[-1] if ended.returncode == 0 else "{}"
    return Done(ended.returncode, json.loads(last), ended.stderr)
