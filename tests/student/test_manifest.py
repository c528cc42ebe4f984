"""The bundle's manifest: what is not as it was published is refused by its name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pinrank import listed_files, registry
from pinrank.errors import ModelError
from pinrank.listed_files import ListedFile
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.manifest import MANIFEST, read_manifest, verify


@pytest.fixture
def copy(tiny_student: StudentBundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_student.folder, tmp_path / "student"))


def remove(folder: Path) -> None:
    (folder / "encoder/config.json").unlink()


def alter(folder: Path) -> None:
    card = (folder / "card.json").read_text()
    (folder / "card.json").write_text(card.replace("0.5", "0.9"))


def add(folder: Path) -> None:
    (folder / "encoder/pytorch_model.bin").write_bytes(b"")


def link_a_file(folder: Path) -> None:
    (folder / "feature_spec.json").rename(folder.parent / "spec")
    (folder / "feature_spec.json").symlink_to(folder.parent / "spec")


def link_a_folder(folder: Path) -> None:
    (folder / "encoder").rename(folder.parent / "encoder")
    (folder / "encoder").symlink_to(folder.parent / "encoder")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove, r"encoder/config\.json is missing"),
        (alter, r"card\.json was altered"),
        (add, r"encoder/pytorch_model\.bin is not listed"),
        (link_a_file, r"feature_spec\.json: a link"),
        (link_a_folder, r"encoder: a link"),
    ],
)
def test_a_bundle_that_is_not_as_it_was_published_is_refused(
    copy: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(copy)
    with pytest.raises(ModelError, match=message):
        open_student(copy)


def test_large_files_are_read_only_on_demand(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = copy / "encoder/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    monkeypatch.setattr(listed_files, "READ_AT_ONCE", len(content) - 1)
    open_student(copy)
    with pytest.raises(ModelError, match=r"encoder/model\.safetensors was altered"):
        open_student(copy, thorough=True)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "encoder/../../x", "", ".", "a//b", "a\\..\\b"])
def test_a_path_that_leaves_the_bundle_is_refused(copy: Path, path: str) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["files"][0]["path"] = path
    (copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="damaged"):
        open_student(copy)


def test_the_manifest_lists_every_file_and_says_where_the_student_comes_from(copy: Path) -> None:
    manifest = read_manifest(copy)
    on_disk = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert {file.path for file in manifest.files} == on_disk - {MANIFEST}
    assert manifest.lineage == {"teacher": ["teacher@0"]}
    (copy / "quarantine").mkdir()
    (copy / "quarantine/rows").write_text("of training, not of the bundle")
    assert verify(copy) == manifest


def test_a_manifest_of_another_student_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(manifest | {"version": "other@00000000"}))
    with pytest.raises(ModelError, match=r"manifest\.json is of other@00000000"):
        open_student(copy)


def test_a_bundle_opens_from_the_registry(copy: Path, tmp_path: Path) -> None:
    bundle = registry.add(tmp_path / "registry", copy, {})
    assert open_student(registry.bundle_path(tmp_path / "registry", bundle.version), thorough=True).version


def test_a_listed_path_stays_as_it_was_given() -> None:
    assert ListedFile(path="encoder/a b.json", num_bytes=0, sha256="").path == "encoder/a b.json"
