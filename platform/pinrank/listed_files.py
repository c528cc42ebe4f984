"""The list of a model folder's files with their checksums, and the check that the folder holds these and no others.

A listed path is relative, with slashes, and stays inside its folder; a link is never followed, and never taken for the
file that it leads to.
"""

import hashlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pinrank.errors import ModelError

READ_AT_ONCE = 4 * 2**20
"""Larger files, which are an encoder's weights, are held against their checksum only on demand."""


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path != "/".join(parts) or "\\" in path or ".." in parts:
        raise ValueError(f"{path!r} is no path inside the folder")
    return path


class ListedFile(BaseModel):
    """A file of a folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, AfterValidator(_inside)] = Field(description="relative to the folder, with slashes")
    num_bytes: int
    sha256: str


def listed(folder: Path, left_out: Collection[str] = ()) -> tuple[ListedFile, ...]:
    """Every file of a folder, by path. left_out: names at its top that do not count. ModelError for a link."""
    return tuple(described(path, name) for name, path in files_of(folder, left_out).items())


def files_of(folder: Path, left_out: Collection[str] = ()) -> dict[str, Path]:
    """Path in the list → file, in the order of the paths. Raises ModelError that names a link."""
    found = {}
    for parent, folders, files in os.walk(folder):
        inside = Path(parent).relative_to(folder)
        for name in (*folders, *files):
            path = Path(parent, name)
            if not inside.parts and name in left_out:
                continue
            if path.is_symlink():
                raise ModelError(f"{path}: a link, where a model's own files are expected. Copy what it leads to.")
            if name in files:
                found[(inside / name).as_posix()] = path
        if not inside.parts:
            folders[:] = [name for name in folders if name not in left_out]
    return dict(sorted(found.items()))


def described(path: Path, name: str) -> ListedFile:
    """A file as it is now, under the name that the list shall give it."""
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return ListedFile(path=name, num_bytes=path.stat().st_size, sha256=sha256)


def deviations(
    folder: Path, files: Sequence[ListedFile], left_out: Collection[str] = (), thorough: bool = True
) -> list[str]:
    """In what the folder differs from the list, a file each: `PATH is missing`, `... was altered`, `... is not listed`.

    Names and sizes are always compared, checksums of files up to READ_AT_ONCE bytes too, `thorough` those of all.
    Raises ModelError that names a link.
    """
    wanted, found = {file.path: file for file in files}, files_of(folder, left_out)
    wrong = [f"{name} is missing" for name in wanted if name not in found]
    wrong += [f"{name} is not listed" for name in found if name not in wanted]
    both = [(path, wanted[name]) for name, path in found.items() if name in wanted]
    return wrong + [f"{file.path} was altered" for path, file in both if not _is_same(path, file, thorough)]


def _is_same(path: Path, file: ListedFile, thorough: bool) -> bool:
    if path.stat().st_size != file.num_bytes:
        return False
    return (not thorough and file.num_bytes > READ_AT_ONCE) or described(path, file.path).sha256 == file.sha256
