"""Files and folders on a local disk that appear whole or not at all, and one writer at a time."""

import ctypes
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Annotated

import psutil
from pydantic import AfterValidator

from pinrank.errors import CommitError, TableError

MARKS = ("card.json", "manifest.json", "*.parquet")
"""What tells a model, a store and a table: the first that a folder holds is its kind."""

DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
"""How the folders are called that a table may have, one a day."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def _on_a_mounted_disk(folder: Path) -> Path:
    if ":/" in str(folder):
        raise ValueError("must be a folder on a mounted disk, as it is replaced in one rename; copy it to s3:// after")
    return folder.absolute()


MountedFolder = Annotated[Path, AfterValidator(_on_a_mounted_disk)]
"""A setting that names a folder on a disk of this machine, or one mounted on all nodes; made absolute."""


def staging_of(target: Path) -> Path:
    """An empty folder beside `target` in which this process writes what shall take its place."""
    staging = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    return staging


def replace_folder(staging: Path, target: Path) -> None:
    """Put a finished folder in the place of another of its kind, in one rename where the file system can swap two.

    Raises TableError when `target` holds something else: a mistyped output must not cost a folder of other things.
    """
    refuse_other_content(target, next(mark for mark in MARKS if any(staging.glob(mark))))
    if not _swap(staging, target):
        retired = target.with_name(f".{target.name}.{os.getpid()}.old")
        if target.exists():
            target.rename(retired)
        staging.rename(target)
    _remove_leftovers(target)


def put_folder_in_place(staging: Path, target: Path) -> None:
    """As `replace_folder`, and on the disk when it returns: for what takes the place of a synced checkpoint."""
    for inside in (*staging.rglob("*"), staging):
        sync(inside)
    replace_folder(staging, target)
    sync(target.parent)


def refuse_other_content(target: Path, mark: str) -> None:
    """Raise TableError when a folder is there, is not empty and holds nothing that matches the glob pattern `mark`.

    What lies in the folder of a day counts. A long job asks before it starts.
    """
    held = chain(target.glob(mark), target.glob(f"{DAY}/{mark}"))
    if target.exists() and any(target.iterdir()) and not any(held):
        raise TableError(
            f"{target}: holds no {mark}, so it is not what an earlier run wrote here and is left alone. Choose another "
            "output, or remove the folder."
        )


def write_text(path: Path, text: str) -> None:
    """Write a small file, synced, in one rename."""
    staging = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    staging.write_text(text)
    put_in_place(staging, path)


def put_in_place(staging: Path, target: Path) -> None:
    """Rename a finished file to its name in the same folder: there whole or not at all, even after a power cut."""
    sync(staging)
    staging.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(lock: Path) -> Iterator[IO[str]]:
    """Hold a lock file, of which there is one for each folder that has one writer at a time; yields the open file.

    The lock ends with its process, and with the children that inherited the file, so that a killed job never blocks
    the next one. Raises CommitError when another process holds it or the folder cannot be written.
    """
    with _opened(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise CommitError(f"{lock.parent}: another job writes here ({holder}). Wait for it, or end it.") from cause
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield file


def _opened(lock: Path) -> IO[str]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a+")
    except OSError as cause:
        raise CommitError(f"{lock.parent}: cannot be written ({cause.strerror}). Choose another output.") from cause


def _swap(staging: Path, target: Path) -> bool:
    """Exchange two names in one step (Linux renameat2); False where that is not possible."""
    exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if exchange is None or not target.exists():
        return False
    names = (os.fsencode(staging), os.fsencode(target))
    return bool(exchange(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


def _remove_leftovers(target: Path) -> None:
    """Remove what was replaced now, and what killed processes of this machine left beside it."""
    for pattern in (f".{target.name}.*.tmp", f".{target.name}.*.old"):
        for left in target.parent.glob(pattern):
            writer = left.name.split(".")[-2]
            if writer == str(os.getpid()) or (writer.isdigit() and not psutil.pid_exists(int(writer))):
                shutil.rmtree(left, ignore_errors=True)
