"""A job that only parses its settings (`--help`, a typo) must not first wait seconds for the libraries of models."""

import subprocess
import sys
from pathlib import Path

LOADED_WITH_A_MODEL = ("torch", "transformers", "vllm", "ray.train", "ray.serve")

IMPORT_ALL = """
import importlib, sys
pipelines, slow = sys.argv[1].split(","), sys.argv[2].split(",")
for name in pipelines:
    importlib.import_module(f"pipelines.{name}")
    if found := [module for module in slow if module in sys.modules]:
        sys.exit(f"pipelines.{name} imports {', '.join(found)}")
"""


def test_no_pipeline_imports_the_libraries_of_models_before_it_needs_them(root: Path) -> None:
    names = sorted(path.stem for path in (root / "pipelines").glob("*.py") if path.stem != "__init__")
    assert "train_teacher" in names and "evaluate" in names
    command = [sys.executable, "-c", IMPORT_ALL, ",".join(names), ",".join(LOADED_WITH_A_MODEL)]
    asked = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
