"""The log of a day as it lies there now, and whether it is the one that was read before.

A file is known by its content: by size and time where these are as before, else by a hash of its bytes, so that a file
that was copied again is the same and one that was written anew is not.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import xxhash
from pyarrow import fs as pafs
from pydantic import BaseModel, ConfigDict

from pinrank.errors import CommitError, TableError
from pinrank.parquet import NOT_ROWS, filesystem_of, holds_rows, subfolders
from pinrank.soft_labels import day_folder

LOGS = ("impressions", "engagement")
"""The tables that grow by a folder a day; without the first there is nothing to label."""

CHUNK_BYTES = 2**24


class LogFile(BaseModel):
    """One file of a day's log, and the 128 bits (xxh3) of its content as hex digits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    name: str
    num_bytes: int
    modified_ns: int
    digest: str


@dataclass(frozen=True)
class Arrived:
    """What lies there of a day: each table's folder (only those that are there), and all files."""

    folders: dict[str, str]
    files: tuple[LogFile, ...]

    @property
    def is_there(self) -> bool:
        """Whether the day can be done."""
        return LOGS[0] in self.folders

    @property
    def hash(self) -> str:
        """16 hex digits of all content."""
        return xxhash.xxh3_64_hexdigest(
            "\n".join(f"{each.table}/{each.name} {each.digest}" for each in self.files).encode()
        )


def arrived(logs: str, day: datetime.date, known: Sequence[LogFile] = ()) -> Arrived:
    """Look for a day's folders under LOGS/impressions and LOGS/engagement; `known`: files that were seen before.

    Raises TableError when a log is there but not cut into days, or holds a day twice.
    """
    folders = {table: folder for table in LOGS if (folder := _folder_of(f"{logs}/{table}", day))}
    seen = {(file.table, file.name): file for file in known}
    files = [file for table, folder in folders.items() for file in _files(table, folder, seen)]
    return Arrived(folders, tuple(sorted(files, key=lambda file: (file.table, file.name))))


def compared(day: datetime.date, before: Sequence[LogFile], now: Arrived) -> Literal["same", "more"]:
    """Whether files came to a log that was read already. A log that is gone altogether is the same: logs are pruned.

    Raises CommitError when a file that was read is gone or has another content: what it said cannot be taken back.
    """
    if not now.files:
        return "same"
    digests = {(file.table, file.name): file.digest for file in now.files}
    broken = [f"{each.table}/{each.name}" for each in before if digests.get((each.table, each.name)) != each.digest]
    if broken:
        raise CommitError(
            f"the log of {day}: {len(broken)} files that were read already are gone or have changed (e.g. "
            f"{broken[0]}). New files of a day are added to what it gave, but what a file said cannot be taken back: "
            "restore them, or start another root from the whole log."
        )
    return "more" if len(now.files) > len(before) else "same"


def refuse_missing(day: datetime.date, logs: str, now: Arrived) -> None:
    """Raise TableError when a day's log is not there, or holds impressions and, unlike other days, no engagement."""
    for table in LOGS:
        if table not in now.folders and (table == LOGS[0] or subfolders(f"{logs}/{table}")):
            raise TableError(
                f"{logs}/{table}: no folder {day} or {day_folder(day)} with Parquet files, so this day's log has not "
                "arrived. Run again when it has, or pass over such days with --missing skip."
            )


def _folder_of(table: str, day: datetime.date) -> str | None:
    held = subfolders(table)
    found = [f"{table}/{name}" for name in (day.isoformat(), day_folder(day)) if name in held]
    found = [folder for folder in found if holds_rows(folder)]
    if len(found) > 1:
        raise TableError(f"{found[0]} and {found[1]}: the same day twice. Keep one of the folders.")
    if not held and _is_uncut(table):
        raise TableError(f"{table}: holds all days in one folder. Cut it into a folder a day, e.g. {table}/{day}/.")
    return found[0] if found else None


def _is_uncut(table: str) -> bool:
    filesystem, inner = filesystem_of(table)
    return filesystem.get_file_info(inner).type == pafs.FileType.Directory and holds_rows(table)


def _files(table: str, folder: str, seen: dict[tuple[str, str], LogFile]) -> list[LogFile]:
    filesystem, inner = filesystem_of(folder)
    found = filesystem.get_file_info(pafs.FileSelector(inner))
    return [
        _file(table, each, filesystem, seen.get((table, each.base_name)))
        for each in found
        if each.is_file and each.extension == "parquet" and not each.base_name.startswith(NOT_ROWS)
    ]


def _file(table: str, info: pafs.FileInfo, filesystem: pafs.FileSystem, known: LogFile | None) -> LogFile:
    if known and (known.num_bytes, known.modified_ns) == (info.size, info.mtime_ns):
        return known
    digest = _digest(filesystem, info.path)
    return LogFile(table=table, name=info.base_name, num_bytes=info.size, modified_ns=info.mtime_ns or 0, digest=digest)


def _digest(filesystem: pafs.FileSystem, path: str) -> str:
    digest = xxhash.xxh3_128()
    with filesystem.open_input_stream(path) as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
