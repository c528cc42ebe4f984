"""Versioned bundles: model folders with their lineage, and one pointer that says which of them is current.

    REGISTRY/
      bundles/NAME@HASH/   a model's folder as it was added, with bundle.json: every file's checksum, and the lineage
      current.json         the pointer: the last change, replaced in one rename
      history.jsonl        every change, oldest first

    add(registry, Path("runs/mine/student"), lineage={"day": "2026-05-04"})
    promote(registry, "student@1a2b3c4d", "not worse on dev")
    rollback(registry, "clicks fell")

The pointer is the one commit point of a change, and the history is written after it: where a process died between the
two, the pointer's change is the history's last line, which readers add and the next change writes down.
"""

import json
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinrank.durable import exclusive, replace_folder, staging_of, sync, write_text
from pinrank.errors import ModelError
from pinrank.listed_files import ListedFile, described, deviations, files_of
from pinrank.model_card import CARD
from pinrank.parquet import one_line

BUNDLES = "bundles"
BUNDLE = "bundle.json"
CURRENT = "current.json"
HISTORY = "history.jsonl"
LOCK = ".lock"
NOT_OF_THE_MODEL = (BUNDLE, "quarantine")
"""The registry's own list, and a folder that training leaves beside a model and that nobody needs to use it."""

_VERSION = re.compile(r"\w[\w.+-]*@[0-9a-f]{8,}")


class Bundle(BaseModel):
    """What bundle.json says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(description="NAME@HASH, as the model's card has it")
    added_at: datetime
    lineage: dict[str, Any]
    files: tuple[ListedFile, ...]


class Change(BaseModel):
    """One move of the pointer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1, description="1, 2, ... in the order of the history")
    action: Literal["promote", "rollback"]
    bundle: str = Field(description="which is current from now on")
    before: str | None = Field(description="which was until now")
    reason: str
    at: datetime


def add(registry: Path, folder: Path, lineage: Mapping[str, Any]) -> Bundle:
    """Copy a model's folder into the registry under its card's version; the pointer stays where it is.

    A version that is there already stays as it is. Raises ModelError when the folder has no card with a version, or
    the bundle of that version is damaged.
    """
    version = version_of(folder)
    with exclusive(registry / LOCK):
        target = bundle_path(registry, version)
        if target.exists():
            return verify(registry, version)
        staging = staging_of(target)
        files = tuple(_copy(path, name, staging) for name, path in files_of(folder, NOT_OF_THE_MODEL).items())
        bundle = Bundle(version=version, added_at=datetime.now(UTC), lineage=dict(lineage), files=files)
        write_text(staging / BUNDLE, bundle.model_dump_json(indent=2) + "\n")
        for inside in (staging, *(path for path in staging.rglob("*") if path.is_dir())):
            sync(inside)
        replace_folder(staging, target)
        sync(target.parent)
    return bundle


def promote(registry: Path, version: str, reason: str) -> Change:
    """Make a bundle the current one; nothing changes when it is.

    Raises ModelError when there is no such bundle, or its files are not those of its manifest.
    """
    with exclusive(registry / LOCK):
        verify(registry, version)
        now = current(registry)
        if now is not None and now.bundle == version:
            return now
        return _move(registry, "promote", version, reason)


def rollback(registry: Path, reason: str) -> Change:
    """Go back to the bundle that was current before the last promotion that still stands; again, to the one before.

    Raises ModelError when there is none, or its files are not those of its manifest.
    """
    with exclusive(registry / LOCK):
        standing = promoted(registry)
        if len(standing) < 2:
            raise ModelError(f"{registry}: no bundle was current before this one. Promote the one that you want.")
        verify(registry, standing[-2])
        return _move(registry, "rollback", standing[-2], reason)


def current(registry: Path) -> Change | None:
    """The change that made the current bundle current; None when none is. Raises ModelError for a damaged file."""
    path = registry / CURRENT
    try:
        return Change.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except ValidationError as cause:
        raise ModelError(f"{path}: damaged: {one_line(cause)}. Write the last line of {HISTORY} into it.") from cause


def history(registry: Path) -> list[Change]:
    """Every change, oldest first. Raises ModelError for a damaged file."""
    path = registry / HISTORY
    try:
        lines = path.read_text().splitlines() if path.exists() else []
        changes = [Change.model_validate_json(line) for line in lines]
    except ValidationError as cause:
        raise ModelError(f"{path}: damaged: {one_line(cause)}. Mend the line, or move the file away.") from cause
    last = current(registry)
    return changes if last is None or last in changes[-1:] else [*changes, last]


def promoted(registry: Path) -> list[str]:
    """The bundles of the promotions that still stand, the current one last: a rollback takes the last away."""
    standing: list[str] = []
    for change in history(registry):
        if change.action == "promote":
            standing.append(change.bundle)
        elif standing:
            standing.pop()
    return standing


def bundles(registry: Path) -> list[Bundle]:
    """Every bundle, by the time at which it was added. Raises ModelError for a damaged one."""
    folders = (folder for folder in (registry / BUNDLES).glob("*@*") if _VERSION.fullmatch(folder.name))
    return sorted((_read_bundle(folder, folder.name) for folder in folders), key=lambda bundle: bundle.added_at)


def bundle_path(registry: Path, version: str) -> Path:
    """Where a bundle lies; its folder opens as the model's does. Raises ModelError for what is no NAME@HASH."""
    if not _VERSION.fullmatch(version):
        raise ModelError(f"{version!r} is no version. Give NAME@HASH, as the model's {CARD} has it.")
    return registry / BUNDLES / version


def version_of(folder: Path) -> str:
    """The version on the card of a model's folder, whatever kind of model. Raises ModelError when it has none."""
    try:
        version = json.loads((folder / CARD).read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ModelError(f"{folder}: no {CARD} with a version, so this is no model that was trained here.") from cause
    return str(version)


def verify(registry: Path, version: str) -> Bundle:
    """Hold every file of a bundle against its manifest; reads them all.

    Raises ModelError when the bundle is missing, or a file of it is missing, changed or was put there later.
    """
    folder = bundle_path(registry, version)
    bundle = _read_bundle(folder, version)
    if wrong := deviations(folder, bundle.files, NOT_OF_THE_MODEL):
        raise ModelError(
            f"{folder}: not as it was added: {', '.join(wrong[:3])}{' and others' if len(wrong) > 3 else ''}. Remove "
            "the folder and add the model again, or promote another bundle."
        )
    return bundle


def _move(registry: Path, action: Literal["promote", "rollback"], version: str, reason: str) -> Change:
    before = history(registry)
    change = Change(
        number=len(before) + 1,
        action=action,
        bundle=version,
        before=before[-1].bundle if before else None,
        reason=reason,
        at=datetime.now(UTC),
    )
    _write_history(registry, before)  # the last change, where a process died before it wrote it down
    write_text(registry / CURRENT, change.model_dump_json(indent=2) + "\n")
    _write_history(registry, [*before, change])
    return change


def _write_history(registry: Path, changes: list[Change]) -> None:
    text = "".join(f"{change.model_dump_json()}\n" for change in changes)
    path = registry / HISTORY
    if text != (path.read_text() if path.exists() else ""):
        write_text(path, text)


def _copy(path: Path, name: str, staging: Path) -> ListedFile:
    target = staging / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    sync(target)
    return described(target, name)


def _read_bundle(folder: Path, version: str) -> Bundle:
    path = folder / BUNDLE
    try:
        bundle = Bundle.model_validate_json(path.read_text())
    except OSError as cause:
        raise ModelError(
            f"{folder}: holds no {BUNDLE}, so there is no bundle {version}. Add the model first."
        ) from cause
    except ValidationError as cause:
        raise ModelError(f"{path}: damaged: {one_line(cause)}. Remove the folder and add the model again.") from cause
    if bundle.version != version:
        raise ModelError(f"{path}: is of {bundle.version}, not of {version}. Give the folder its own name.")
    return bundle
