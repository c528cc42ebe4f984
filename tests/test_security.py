"""Models and bundles from strangers: nothing of them is ever run. Every one of these writes a canary when it is."""

import ast
import json
import pickle
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinrank.errors import ModelError
from pinrank.student.encoder import TextEncoder
from pinrank.teacher.model import open_backbone
from pinrank.teacher.score import EngineSettings, open_engine
from pinrank.teacher.settings import TeacherSettings
from tests.canary import Canary, canary

__all__ = ["canary"]

SOURCES = ("platform", "pipelines", "serve_apps", "benchmarks")

FORBIDDEN = {
    "torch.load": "runs what it unpickles",
    "pickle.load": "runs what it unpickles",
    "pickle.loads": "runs what it unpickles",
    "cloudpickle.load": "runs what it unpickles",
    "cloudpickle.loads": "runs what it unpickles",
    "joblib.load": "runs what it unpickles",
    "yaml.load": "makes any object",
    "eval": "runs text",
    "exec": "runs text",
}


def test_the_canary_would_be_written(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary")))
    assert (tmp_path / "canary").read_text() == "alive"


def stranger(folder: Path, tmp_path: Path) -> Path:
    """A copy of a model, to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "stranger", symlinks=False))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.safetensors"])
def test_a_backbone_with_pickled_weights_is_refused(
    tiny_bert_dir: Path, tmp_path: Path, canary: Path, name: str
) -> None:
    folder = stranger(tiny_bert_dir, tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    refused = ModelError if name != "model.safetensors" else Exception  # a pickle under that name is no safetensors
    with pytest.raises(refused):
        open_backbone(str(folder))


def test_a_backbone_with_code_of_its_own_is_not_run(tiny_bert_dir: Path, tmp_path: Path, canary: Path) -> None:
    folder = stranger(tiny_bert_dir, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config", "AutoTokenizer": ["evil.T", None]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w').write('alive')\nModel = Config = T = dict\n")
    open_backbone(str(folder))  # transformers' own class of the same model_type
    TextEncoder.open(str(folder))
    assert TeacherSettings(backbone=str(folder)).allow_auto_map is False  # training asks first: tests/test_backbones.py


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_a_teacher_with_pickled_weights_is_refused(
    tiny_teacher_dir: Path, tmp_path: Path, canary: Path, engine: str
) -> None:
    folder = stranger(tiny_teacher_dir, tmp_path)
    for weights in list(folder.rglob("*.safetensors")):
        weights.unlink()
        weights.with_name("pytorch_model.bin").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(ModelError):
        open_engine(str(folder), EngineSettings.model_validate({"name": engine, "dtype": "float32"}))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a file by the dotted name that it calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_no_code_of_ours_unpickles_evaluates_text_or_trusts_remote_code(root: Path) -> None:
    found = []
    for path in (file for folder in SOURCES for file in (root / folder).rglob("*.py")):
        for name, call in calls(ast.parse(path.read_text())):
            trusts = any(
                word.arg == "trust_remote_code" and ast.unparse(word.value) != "False" for word in call.keywords
            )
            if name in FORBIDDEN or trusts:
                why = FORBIDDEN.get(name, "runs remote code")
                found.append(f"{path.relative_to(root)}:{call.lineno} {name} {why}")
    assert found == []


def test_every_direct_dependency_has_its_reason(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    sets = {"all": project["dependencies"], **project["optional-dependencies"]}
    asked = {(re.split(r"[\[<>=]", each)[0], name) for name, packages in sets.items() for each in packages}
    page = (root / "requirements/reasons.md").read_text()
    rows = re.findall(r"^\| `([\w.-]+)` \| ([\w, ]+) \| \S.* \|.*\|$", page, flags=re.MULTILINE)
    assert {(package, name) for package, named in rows for name in named.split(", ")} == asked


@pytest.mark.parametrize(
    "line", ["torch.load(f)", "pickle.load(f)", "x = eval(text)", "m(trust_remote_code=True)", "yaml.load(f, Loader)"]
)
def test_the_lint_step_finds_what_runs_what_it_reads(root: Path, tmp_path: Path, line: str) -> None:
    pattern = re.search(r"^UNSAFE := (.+)$", (root / "Makefile").read_text(), flags=re.MULTILINE)
    assert pattern is not None
    (tmp_path / "unsafe.py").write_text(f"{line}\n")
    (tmp_path / "fine.py").write_text("model.eval()\nyaml.safe_load(f)\nretrieval(x)\n")
    found = subprocess.run(["grep", "-rlE", pattern[1], str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(tmp_path / "unsafe.py")]
