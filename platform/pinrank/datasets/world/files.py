"""A generated world on disk or in a bucket, written file by file; a killed run goes on with the same command.

    pins/part-00000.parquet                       at most `rows_per_chunk` pins a file
    judgments/part-00000.parquet
    impressions/2026-01-01/part-00000.parquet     a folder a day; engagement/ and truth/ have the same files
    images/00000/17.png                           of the first `images` pins
    generated.json                                the settings; its presence says: not real

A file's metadata say which settings made it. What the same settings made stays; anything else is made anew.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from pinrank.datasets.world.catalogue import Catalogue, catalogue_of
from pinrank.datasets.world.judgments import judgments_table
from pinrank.datasets.world.log import Chunk, chunks, log_of
from pinrank.datasets.world.pictures import FOLDER, path_of, picture
from pinrank.datasets.world.pins import pins_table
from pinrank.datasets.world.settings import WorldSettings
from pinrank.durable import refuse_other_content
from pinrank.parquet import exists, filesystem_of, part_name, put_file, remove_folder
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS, TRUTH

log = logging.getLogger(__name__)

MARK = "generated.json"
"""The file that says that the tables beside it are generated."""
KEY = b"pinrank.world"
"""Under which a file's metadata hold what made it."""
GENERATOR = 2
"""Grows with whatever changes the bytes that the same settings make."""
NAMES = tuple(table.name for table in (PINS, JUDGMENTS, IMPRESSIONS, ENGAGEMENT, TRUTH))
PROGRESS_EVERY_S = 10


@dataclass(frozen=True)
class Written:
    """Rows of each table, whenever they were written, and how many files were there already."""

    rows: dict[str, int]
    resumed_files: int


@dataclass(frozen=True)
class _Unit:
    """Files that are made together: of these tables, under one name in each of their folders."""

    tables: tuple[str, ...]
    file: str
    make: Callable[[], tuple[pa.Table, ...]]


def write_world(settings: WorldSettings, folder: str) -> Written:
    """Write what is missing of a world. One chunk of rows is in memory at a time, beside the catalogue.

    Raises SettingsError when the words cannot make so many queries, TableError when the folder cannot be written or
    a table's folder holds something else.
    """
    catalogue, made_by = catalogue_of(settings), _made_by(settings)
    rows = _kept(folder, made_by)
    resumed, said_s = len(rows), time.monotonic()
    if not rows:
        _clear(folder)
    mark_generated(folder, settings)
    for unit in _units(catalogue, folder):
        paths = [f"{name}/{unit.file}" for name in unit.tables]
        if not rows.keys() >= set(paths):
            for path, table in zip(paths, unit.make(), strict=True):
                put_file(table.replace_schema_metadata({KEY: made_by}), f"{folder}/{path}")
                rows[path] = table.num_rows
        if time.monotonic() - said_s > PROGRESS_EVERY_S:
            said_s = time.monotonic()
            log.info("%s is written, %d rows so far", paths[-1], sum(rows.values()))
    of_table = {name: sum(count for path, count in rows.items() if path.startswith(f"{name}/")) for name in NAMES}
    return Written(of_table, resumed)


def mark_generated(folder: str, settings: WorldSettings) -> None:
    """Say beside the tables that they are generated, and from which settings."""
    filesystem, inner = filesystem_of(folder)
    filesystem.create_dir(inner, recursive=True)
    with filesystem.open_output_stream(f"{inner}/{MARK}") as stream:
        stream.write(_made_by(settings))


def forget_generated(folder: str) -> bool:
    """Remove a generated world: its mark, its pictures and every table that it wrote; say whether there was a mark.

    Without the mark nothing is touched, and never a table that something else has written since.
    """
    if not exists(f"{folder}/{MARK}"):
        return False
    for name in NAMES:
        if any(KEY in metadata for _, metadata, _ in _files(folder, name)):
            remove_folder(f"{folder}/{name}")
    remove_folder(f"{folder}/{FOLDER}")
    filesystem, inner = filesystem_of(folder)
    filesystem.delete_file(f"{inner}/{MARK}")
    return True


def _made_by(settings: WorldSettings) -> bytes:
    return json.dumps({"generator": GENERATOR} | settings.model_dump(), indent=2).encode()


def _units(catalogue: Catalogue, folder: str) -> Iterator[_Unit]:
    settings = catalogue.settings
    for number, start in enumerate(range(0, settings.num_pins, settings.rows_per_chunk)):
        stop = min(start + settings.rows_per_chunk, settings.num_pins)
        yield _Unit((PINS.name,), part_name(number), partial(_pins, catalogue, folder, start, stop))
    yield _Unit((JUDGMENTS.name,), part_name(0), lambda: (judgments_table(catalogue),))
    for chunk in chunks(settings):
        yield _Unit((TRUTH.name, ENGAGEMENT.name, IMPRESSIONS.name), chunk.file, partial(_log, catalogue, chunk))


def _pins(catalogue: Catalogue, folder: str, start: int, stop: int) -> tuple[pa.Table]:
    """The pins, after their pictures: a file of pins says that the pictures are there."""
    filesystem, inner = filesystem_of(folder)
    for pin in range(start, min(stop, catalogue.settings.images)):
        path = f"{inner}/{path_of(pin)}"
        filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        with filesystem.open_output_stream(path) as stream:
            stream.write(picture(catalogue.pins, pin, catalogue.settings.seed))
    return (pins_table(catalogue, start, stop),)


def _log(catalogue: Catalogue, chunk: Chunk) -> tuple[pa.Table, ...]:
    made = log_of(catalogue, chunk)
    return made.truth, made.engagement, made.impressions


def _kept(folder: str, made_by: bytes) -> dict[str, int]:
    """Rows of each file that is there, when all of them are this world's; nothing otherwise."""
    rows = {}
    for name in NAMES:
        for path, metadata, num_rows in _files(folder, name):
            if metadata.get(KEY) != made_by:
                return {}
            rows[path] = num_rows
    return rows


def _files(folder: str, name: str) -> Iterator[tuple[str, dict[bytes, bytes], int]]:
    """Path under the folder, metadata and rows of each Parquet file of a table."""
    filesystem, inner = filesystem_of(folder)
    for found in filesystem.get_file_info(pafs.FileSelector(f"{inner}/{name}", allow_not_found=True, recursive=True)):
        if found.is_file and found.extension == "parquet":
            try:
                footer = pq.read_metadata(found.path, filesystem=filesystem)
            except pa.ArrowException:
                yield found.path, {}, 0
            else:
                yield found.path.removeprefix(f"{inner}/"), footer.metadata or {}, footer.num_rows


def _clear(folder: str) -> None:
    """Make room: an earlier world's pictures, and the tables that will be written."""
    for name in NAMES:
        filesystem, inner = filesystem_of(f"{folder}/{name}")
        if isinstance(filesystem, pafs.LocalFileSystem):
            refuse_other_content(Path(inner), "*.parquet")
    forget_generated(folder)
    for name in NAMES:
        remove_folder(f"{folder}/{name}")
