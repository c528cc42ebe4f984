"""The examples of the docs: they parse, their jobs take their options, and those that are marked run as they stand."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from pinrank.pipeline import parse
from tests.conftest import ROOT
from tests.debian import program
from tests.made_pages import jobs

FENCE = re.compile(r"^(?P<runs><!-- runs -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")])
SHELLS = ("console", "sh", "bash")
JOB = re.compile(r"(?:python -m pipelines\.|pinrank (?:run|submit) )(\w+)(.*)")


class Example(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str
    runs: bool


def examples() -> Iterator[Example]:
    for page in PAGES:
        for found in FENCE.finditer(page.read_text()):
            name = str(page.relative_to(ROOT))
            yield Example(name, found["language"], found["text"], found["runs"] is not None)


EXAMPLES = list(examples())


def named(example: Example) -> str:
    return f"{example.page}: {example.text.splitlines()[0][:50]}"


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_every_example_parses(example: Example) -> None:
    if example.language == "python":
        ast.parse(example.text)
    elif example.language in SHELLS:
        said = subprocess.run(["bash", "-n"], input=example.text, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
    elif example.language == "json":
        for line in example.text.splitlines() if example.text.count("\n{") else [example.text]:
            json.loads(line)
    elif example.language == "yaml":
        list(yaml.safe_load_all(example.text))
    else:
        assert example.language == "text", f"{example.language}: nobody looks whether this parses"


def commands() -> Iterator[tuple[str, str, list[str]]]:
    """Documented calls of a job, by page: its name and its options. Those with a place-holder are left out."""
    for example in EXAMPLES:
        if example.language not in SHELLS:
            continue
        text = example.text.replace("\\\n", " ")
        for name, value in re.findall(r"(?:^|; )(\w)=([^\s;]+)", text, flags=re.MULTILINE):
            text = text.replace(f"${name}", value)
        for line in text.splitlines():
            if (found := JOB.search(line)) and not re.search(r"\.\.\.|…|\bFILE\b|--help|my-", found[2]):
                yield example.page, found[1], shlex.split(found[2], comments=True)


COMMANDS = list(commands())


def test_most_pages_that_show_a_job_are_looked_at() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize(
    ("page", "job", "options"), COMMANDS, ids=lambda part: part if isinstance(part, str) else " ".join(part)[:60]
)
def test_a_documented_job_takes_its_documented_options(
    page: str, job: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    own = [word for word in options if not word.startswith(("--address", "--no-wait"))]
    parse(jobs()[job], own)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.runs], ids=named)
def test_a_marked_example_runs_as_it_stands(example: Example) -> None:
    if "promtool" in example.text:
        program("promtool", "prometheus")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "platform")}
    command = [sys.executable, "-"] if example.language == "python" else ["bash", "-euo", "pipefail"]
    said = subprocess.run(
        command, input=example.text, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert said.returncode == 0, said.stdout + said.stderr
