"""Bundles, the pointer to the current one, and its history."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinrank import registry
from pinrank.errors import CommitError, ModelError
from pinrank.registry import add, bundle_path, current, history, promote, promoted, rollback, verify

VERSIONS = ("student@00000001", "student@00000002", "student@00000003")


def model(folder: Path, version: str = VERSIONS[0]) -> Path:
    """A folder as training leaves it: a card, weights, a folder inside, and rows that could not be used."""
    for name, content in {"card.json": json.dumps({"version": version}), "encoder/weights": version}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "quarantine").mkdir(exist_ok=True)
    (folder / "quarantine/rows").write_text("bad")
    return folder


def filled(folder: Path) -> Path:
    """A registry with a bundle of each version, none of them current."""
    for version in VERSIONS:
        add(folder / "registry", model(folder / version, version), {})
    return folder / "registry"


def test_a_bundle_holds_the_models_files_with_their_checksums_and_lineage(tmp_path: Path):
    bundle = add(tmp_path / "registry", model(tmp_path / "student"), {"day": "2026-05-04"})
    assert (bundle.version, bundle.lineage) == (VERSIONS[0], {"day": "2026-05-04"})
    assert [file.path for file in bundle.files] == ["card.json", "encoder/weights"]
    assert (bundle_path(tmp_path / "registry", VERSIONS[0]) / "encoder/weights").read_text() == VERSIONS[0]
    assert verify(tmp_path / "registry", VERSIONS[0]) == bundle
    assert current(tmp_path / "registry") is None


def test_a_version_is_added_once(tmp_path: Path):
    first = add(tmp_path / "registry", model(tmp_path / "student"), {"day": 1})
    assert add(tmp_path / "registry", tmp_path / "student", {"day": 2}) == first


def test_a_folder_without_a_version_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match=r"no card\.json with a version"):
        add(tmp_path / "registry", tmp_path, {})
    with pytest.raises(ModelError, match="is no version"):
        add(tmp_path / "registry", model(tmp_path / "student", "../../elsewhere"), {})


def damage_changed(bundle: Path) -> None:
    (bundle / "encoder/weights").write_text("other")


def damage_missing(bundle: Path) -> None:
    (bundle / "encoder/weights").unlink()


def damage_added(bundle: Path) -> None:
    (bundle / "encoder/more").write_text("")


@pytest.mark.parametrize("damage", [damage_changed, damage_missing, damage_added])
def test_a_bundle_that_is_not_as_it_was_added_is_neither_promoted_nor_gone_back_to(
    damage: Callable[[Path], None], tmp_path: Path
):
    folder = filled(tmp_path)
    promote(folder, VERSIONS[0], "first")
    promote(folder, VERSIONS[1], "better")
    damage(bundle_path(folder, VERSIONS[0]))
    with pytest.raises(ModelError, match="not as it was added: encoder/"):
        rollback(folder, "worse")
    with pytest.raises(ModelError, match="not as it was added: encoder/"):
        promote(folder, VERSIONS[0], "again")
    assert [change.bundle for change in history(folder)] == list(VERSIONS[:2])


def test_what_is_no_bundle_is_not_promoted(tmp_path: Path):
    with pytest.raises(ModelError, match="there is no bundle student@0000000f"):
        promote(tmp_path, "student@0000000f", "")


def test_promoting_what_is_current_changes_nothing(tmp_path: Path):
    folder = filled(tmp_path)
    assert promote(folder, VERSIONS[0], "first") == promote(folder, VERSIONS[0], "again")
    assert len(history(folder)) == 1


def test_there_is_nothing_to_go_back_to_before_a_second_promotion(tmp_path: Path):
    folder = filled(tmp_path)
    with pytest.raises(ModelError, match="no bundle was current before"):
        rollback(folder, "")
    promote(folder, VERSIONS[0], "first")
    with pytest.raises(ModelError, match="no bundle was current before"):
        rollback(folder, "")


def test_a_second_writer_is_refused(tmp_path: Path):
    with registry.exclusive(tmp_path / "registry/.lock"):
        with pytest.raises(CommitError, match="another job writes here"):
            add(tmp_path / "registry", model(tmp_path / "student"), {})


@settings(max_examples=30)  # each syncs a dozen files
@given(st.lists(st.sampled_from([*VERSIONS, "back"]), max_size=12))
def test_a_rollback_undoes_the_last_promotion_that_stands(steps: list[str]):
    with tempfile.TemporaryDirectory() as name:
        folder = filled(Path(name))
        standing: list[str] = []
        for step in steps:
            if step == "back" and len(standing) > 1:
                standing.pop()
                assert rollback(folder, "").bundle == standing[-1]
            elif step != "back" and standing[-1:] != [step]:
                standing.append(step)
                assert promote(folder, step, "").bundle == step
            assert promoted(folder) == standing
            now = current(folder)
            assert (now.bundle if now else None) == (standing[-1] if standing else None)
        changes = history(folder)
        assert [change.number for change in changes] == list(range(1, len(changes) + 1))
        assert [change.before for change in changes] == [None, *(change.bundle for change in changes)][: len(changes)]


class Killed(BaseException):
    """The process ends here."""


def dying(monkeypatch: pytest.MonkeyPatch, at: int, after: bool) -> None:
    """End the process before, or after, the n-th call that changes the disk."""
    calls = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at and not after:
                raise Killed
            result = real(*arguments, **options)
            if calls == at:
                raise Killed
            return result

        return call

    for module, name in ((os, "replace"), (os, "rename"), (os, "fsync"), (shutil, "copyfile")):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_any_two_writes_the_pointer_is_valid_and_the_same_calls_go_on(after: bool, tmp_path: Path):
    def story(folder: Path) -> None:
        for version in VERSIONS:
            add(folder / "registry", folder / version, {})
        promote(folder / "registry", VERSIONS[0], "first")
        promote(folder / "registry", VERSIONS[1], "better")
        rollback(folder / "registry", "worse")

    points = 0
    while True:
        points += 1
        folder = tmp_path / f"{points}"
        for version in VERSIONS:
            model(folder / version, version)
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, points, after)
            try:
                story(folder)
                break
            except Killed:
                pass
        now = current(folder / "registry")
        if now is not None:
            verify(folder / "registry", now.bundle)
            assert history(folder / "registry")[-1] == now
        for version in VERSIONS:
            add(folder / "registry", folder / version, {})
        promote(folder / "registry", VERSIONS[2], "at last")
        changes = history(folder / "registry")
        assert changes[-1].bundle == VERSIONS[2]
        assert [change.number for change in changes] == list(range(1, len(changes) + 1))
        assert len((folder / "registry/history.jsonl").read_text().splitlines()) == len(changes)
    assert points > 30
