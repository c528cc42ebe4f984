"""Students and bundles from strangers: nothing of them is ever run, and nothing outside of them is read."""

import json
import pickle
import shutil
from pathlib import Path

import pytest

from pinrank import registry
from pinrank.errors import ModelError
from pinrank.student import manifest
from pinrank.student.export import StudentBundle, open_student
from tests.canary import Canary, canary

__all__ = ["canary"]


def stranger(folder: Path, tmp_path: Path) -> Path:
    """A copy of a model, to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "stranger"))


@pytest.mark.parametrize("name", ["ranker.safetensors", "lexical.safetensors", "encoder/model.safetensors"])
def test_a_student_with_a_pickle_for_weights_is_refused_even_when_its_manifest_is_rewritten(
    tiny_student: StudentBundle, tmp_path: Path, canary: Path, name: str
) -> None:
    folder = stranger(tiny_student.folder, tmp_path)
    (folder / name).write_bytes(pickle.dumps(Canary(canary)))
    told = manifest.read_manifest(folder)
    (folder / manifest.MANIFEST).unlink()
    manifest.write_manifest(folder, told.version, told.lineage)
    with pytest.raises(ModelError):
        open_student(folder).encode_queries(["a query"])


@pytest.mark.parametrize("path", ["../canary", "/tmp/canary", "a/../../canary"])
def test_a_bundle_that_lists_a_file_outside_of_itself_is_refused(
    tiny_student: StudentBundle, tmp_path: Path, canary: Path, path: str
) -> None:
    bundle = registry.add(tmp_path / "registry", tiny_student.folder, {})
    listed = registry.bundle_path(tmp_path / "registry", bundle.version) / registry.BUNDLE
    content = json.loads(listed.read_text())
    content["files"][0]["path"] = path
    listed.write_text(json.dumps(content))
    with pytest.raises(ModelError):
        registry.promote(tmp_path / "registry", bundle.version, "try")


@pytest.mark.parametrize("name", ["card.json", "ranker.safetensors"])
def test_a_bundle_with_a_link_in_it_is_refused(
    tiny_student: StudentBundle, tmp_path: Path, canary: Path, name: str
) -> None:
    folder = stranger(tiny_student.folder, tmp_path)
    outside = (folder / name).rename(tmp_path / name)
    if name != "card.json":
        outside.write_bytes(pickle.dumps(Canary(canary)))
    (folder / name).symlink_to(outside)
    with pytest.raises(ModelError, match="a link"):
        registry.add(tmp_path / "registry", folder, {})
    with pytest.raises(ModelError, match="a link"):
        open_student(folder)
