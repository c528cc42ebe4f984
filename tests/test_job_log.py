"""What jobs say: in a form that is asked for, and nothing that is nobody's business."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pinrank import tables
from pipelines.generate_world import GenerateWorld
from pipelines.generate_world import main as generate_world

SECRET_QUERY = "zwetschgendatschi am sonntag"
"""A query that no log may hold."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated world in which everybody asked the same, with a broken row in its log."""
    folder = tmp_path_factory.mktemp("world")
    generate_world(
        GenerateWorld(output=str(folder), world={"num_pins": 50, "num_queries": 10, "num_impressions": 1_000})
    )
    for table in (tables.IMPRESSIONS, tables.ENGAGEMENT):
        rows = tables.read(str(folder / table.name), table)
        place = rows.schema.get_field_index("query")
        asked = pa.array([SECRET_QUERY] * rows.num_rows, rows.schema.field(place).type)
        rows = rows.set_column(place, rows.schema.field(place), asked)
        if table is tables.IMPRESSIONS:
            place = rows.schema.get_field_index("pin_id")
            broken = pa.array(["", *rows.column("pin_id").to_pylist()[1:]], rows.schema.field(place).type)
            rows = rows.set_column(place, rows.schema.field(place), broken)
        tables.write(rows, str(folder / table.name), table)
    return folder


def said_by(root: Path, pipeline: str, *arguments: str, log: str) -> str:
    """What a job wrote to stderr and stdout."""
    command = [sys.executable, "-m", f"pipelines.{pipeline}", *arguments]
    environment = os.environ | {"PINRANK_LOG": log}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


def test_jobs_that_read_queries_write_json_lines_without_them(root: Path, world: Path) -> None:
    said = said_by(root, "build_pin_text", "--tables", str(world), log="json")
    said += said_by(root, "sample_impressions", "--tables", str(world), "--size", "100", log="json")
    assert SECRET_QUERY in tables.read(str(world / "sampled_pairs"), tables.SAMPLED_PAIRS).column("query").to_pylist()
    lines = [json.loads(line) for line in said.splitlines()]
    assert {line["name"] for line in lines if "rows_in" in line} == {"build_pin_text", "sample_impressions"}
    assert SECRET_QUERY not in said


@pytest.mark.parametrize("log", ["json", "text"])
def test_a_line_says_when_how_bad_who_and_what(root: Path, tmp_path: Path, log: str) -> None:
    said = said_by(root, "generate_world", "--output", str(tmp_path), "--world.num_pins", "20", log=log).splitlines()[0]
    what = "a generated world: its quality figures prove nothing about search relevance"
    if log == "text":
        assert said.endswith(f"WARNING pipelines.generate_world {what}") or said.endswith(f"WARNING __main__ {what}")
        return
    line = json.loads(said)
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "WARNING", "logger": "__main__", "message": what, "pipeline": "generate_world"}


def test_an_unknown_format_is_refused_by_name(root: Path) -> None:
    command = [sys.executable, "-m", "pipelines.evaluate"]
    asked = subprocess.run(command, cwd=root, env=os.environ | {"PINRANK_LOG": "xml"}, capture_output=True, text=True)
    assert asked.returncode == 2
    assert asked.stderr == "SettingsError: PINRANK_LOG=xml: no format of logs. There are text and json.\n"
