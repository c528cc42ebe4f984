"""Parquet files and folders, at a local path or any URI that pyarrow.fs opens: read by file, replaced as a whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from pinrank.durable import put_folder_in_place, put_in_place, replace_folder, staging_of
from pinrank.errors import TableError

NOT_ROWS = (".", "_", "manifest.json", "quarantine")
"""How the names begin that may lie beside a table's files in its folder without being rows of it."""

CHECKED = {"compression": "zstd", "write_page_checksum": True}
"""How every table is written: a reader notices a flipped bit in any page, where otherwise it would see other values."""

_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)
_FIRST_PART = "part-00000.parquet"  # part_name(0)
_REWRITE = "Write the file again; a copy may have broken off."


@dataclass(frozen=True)
class Piece:
    """The rows of one file, in the types in which the file holds them."""

    file: str
    data: pa.Table


def filesystem_of(path: str) -> tuple[pafs.FileSystem, str]:
    """The pyarrow file system of a local path or URI, and the path inside it; TableError for an unknown scheme."""
    if "://" in path:
        try:
            filesystem, inner = pafs.FileSystem.from_uri(path)
        except (pa.ArrowException, OSError) as cause:
            raise TableError(
                f"{path}: cannot be opened: {one_line(cause)}. Give a path, s3://, gs:// or hdfs://."
            ) from cause
        return filesystem, inner
    return pafs.LocalFileSystem(), str(Path(path).absolute())


def exists(path: str) -> bool:
    """Whether a file or folder is at this path or URI."""
    filesystem, inner = filesystem_of(path)
    return bool(filesystem.get_file_info(inner).type != pafs.FileType.NotFound)


def subfolders(path: str) -> list[str]:
    """Names of the folders in a folder; none where there is no such folder."""
    filesystem, inner = filesystem_of(path)
    found = filesystem.get_file_info(pafs.FileSelector(inner, allow_not_found=True)) if _is_folder(path) else []
    return sorted(each.base_name for each in found if each.type == pafs.FileType.Directory)


def holds_rows(path: str) -> bool:
    """Whether a folder holds any file of a table."""
    filesystem, inner = filesystem_of(path)
    found = filesystem.get_file_info(pafs.FileSelector(inner))
    return any(
        each.is_file and each.extension == "parquet" and not each.base_name.startswith(NOT_ROWS) for each in found
    )


def open_dataset(path: str, name: str) -> ds.Dataset:
    """Open a Parquet file or folder for reading in pieces; TableError says which it is not, and why."""
    if not exists(path):
        raise TableError(
            f"{path}: there is no such file or folder for table '{name}'. "
            "Fix the path, or run the pipeline that writes it."
        )
    filesystem, inner = filesystem_of(path)
    try:
        found = ds.dataset(
            inner, filesystem=filesystem, format=_FORMAT, exclude_invalid_files=False, ignore_prefixes=list(NOT_ROWS)
        )
    except (pa.ArrowException, OSError) as cause:
        raise TableError(
            f"{path}: not readable as Parquet for table '{name}': {one_line(cause)}. {_REWRITE}"
        ) from cause
    if not found.files:
        raise TableError(
            f"{path}: the folder of table '{name}' holds no Parquet file. Run the pipeline that writes it."
        )
    return found


def schemas(path: str, name: str) -> list[tuple[str, pa.Schema]]:
    """Each file's path and own schema, in the order in which its rows come; reads only the footers."""
    return [(fragment.path, _schema_of(fragment, path)) for fragment in open_dataset(path, name).get_fragments()]


def read_pieces(path: str, name: str, columns: list[str]) -> Iterator[Piece]:
    """The columns of each file of a table, file by file in the order of their names.

    Files are read one by one because a dataset takes the types of its first file for all of them and fills columns
    that a later file lacks with nulls. Raises TableError for a damaged file.
    """
    for fragment in open_dataset(path, name).get_fragments():
        schema = _schema_of(fragment, path)
        try:
            yield Piece(fragment.path, fragment.to_table(schema=schema, columns=columns))
        except (pa.ArrowException, OSError) as cause:
            raise TableError(f"{fragment.path}: damaged Parquet: {one_line(cause)}. {_REWRITE}") from cause


def cast(data: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """Bring columns to the types of a schema; TableError names the column that cannot be.

    Integers become strings and narrower numbers where no value changes; finer times are cut to the schema's unit.
    Numbers are never read out of text, and text never made from fractions: such a column is most likely another one.
    """
    columns = []
    for field in schema:
        column = data.column(field.name)
        try:
            columns.append(_cast_column(column, field.type))
        except pa.ArrowException as cause:
            raise TableError(
                f"{where}: column '{field.name}' has type {column.type} where {field.type} is needed: "
                f"{one_line(cause)}. Write it with that type."
            ) from cause
    return pa.table(columns, schema=schema)


def write_folder(data: pa.Table, path: str) -> None:
    """Write any data as a folder with one Parquet file.

    On a local disk a reader never sees a mix of the old rows and the new. Raises TableError when the path cannot be
    written.
    """
    filesystem, inner = filesystem_of(path)
    try:
        if isinstance(filesystem, pafs.LocalFileSystem):
            _write_local(data, Path(inner))
        else:
            _write_remote(data, filesystem, inner)
    except OSError as cause:
        raise TableError(f"{path}: cannot be written: {one_line(cause)}. Choose another output, or free it.") from cause


def part_name(number: int) -> str:
    """The name of one of a table's files."""
    return f"part-{number:05d}.parquet"


def write_part(data: pa.Table, folder: str, number: int) -> None:
    """Write one of a table's files into a folder that `replaced` gave."""
    filesystem, inner = filesystem_of(folder)
    pq.write_table(data, f"{inner}/{part_name(number)}", filesystem=filesystem, **CHECKED)


def put_file(data: pa.Table, path: str) -> None:
    """Write one file of a table that grows file by file: there whole or not at all, on a local disk as in a bucket.

    Raises TableError when it cannot be written.
    """
    filesystem, inner = filesystem_of(path)
    try:
        filesystem.create_dir(inner.rpartition("/")[0], recursive=True)
        if isinstance(filesystem, pafs.LocalFileSystem):
            _put_local(data, Path(inner))
        else:
            pq.write_table(data, inner, filesystem=filesystem, **CHECKED)
    except OSError as cause:
        raise TableError(f"{path}: cannot be written: {one_line(cause)}. Choose another output, or free it.") from cause


@contextmanager
def replaced(path: str, num_parts: int) -> Iterator[str]:
    """A folder for the files 0..num_parts - 1 of a table; when the block ends they take the place of what is at `path`.

    On a local disk they do so in one rename, synced, and a block that fails changes nothing. Raises TableError when the
    path cannot be written, or holds something else than a table.
    """
    filesystem, inner = filesystem_of(path)
    try:
        if isinstance(filesystem, pafs.LocalFileSystem):
            staging = staging_of(Path(inner))
            try:
                yield str(staging)
                put_folder_in_place(staging, Path(inner))
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        else:
            filesystem.create_dir(inner, recursive=True)
            yield path
            _remove_other_parts(filesystem, inner, {part_name(number) for number in range(num_parts)})
    except OSError as cause:
        raise TableError(f"{path}: cannot be written: {one_line(cause)}. Choose another output, or free it.") from cause


def remove_folder(path: str) -> None:
    """Remove a table that an earlier run left behind; nothing happens where there is none."""
    filesystem, inner = filesystem_of(path)
    if filesystem.get_file_info(inner).type == pafs.FileType.Directory:
        filesystem.delete_dir(inner)


def one_line(cause: BaseException) -> str:
    """An exception's message without line breaks, 300 characters at most."""
    return " ".join(str(cause).split())[:300].rstrip(".")


def _put_local(data: pa.Table, target: Path) -> None:
    for left in target.parent.glob(f".{target.name}.*.tmp"):
        left.unlink()  # by a killed process; where another one writes at this moment, its rename will fail
    staging = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    pq.write_table(data, staging, **CHECKED)
    put_in_place(staging, target)


def _is_folder(path: str) -> bool:
    filesystem, inner = filesystem_of(path)
    return bool(filesystem.get_file_info(inner).type == pafs.FileType.Directory)


def _write_local(data: pa.Table, target: Path) -> None:
    staging = staging_of(target)
    try:
        pq.write_table(data, staging / _FIRST_PART, **CHECKED)
        replace_folder(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_remote(data: pa.Table, filesystem: pafs.FileSystem, inner: str) -> None:
    filesystem.create_dir(inner, recursive=True)
    pq.write_table(data, f"{inner}/{_FIRST_PART}", filesystem=filesystem, **CHECKED)
    _remove_other_parts(filesystem, inner, {_FIRST_PART})


def _remove_other_parts(filesystem: pafs.FileSystem, inner: str, kept: set[str]) -> None:
    for found in filesystem.get_file_info(pafs.FileSelector(inner, recursive=True)):
        if found.is_file and found.extension == "parquet" and found.base_name not in kept:
            filesystem.delete_file(found.path)


def _schema_of(fragment: ds.Fragment, path: str) -> pa.Schema:
    try:
        schema = fragment.physical_schema
        _ = schema.names  # a damaged one is no UTF-8
        return schema
    except (pa.ArrowException, OSError, UnicodeDecodeError) as cause:
        raise TableError(f"{path}: {fragment.path} is no Parquet file: {one_line(cause)}. {_REWRITE}") from cause


def _cast_column(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    held = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if _is_text(held) and (pa.types.is_integer(wanted) or pa.types.is_floating(wanted)):
        raise pa.ArrowInvalid("it holds text, not numbers")
    if pa.types.is_string(wanted) and not (_is_text(held) or pa.types.is_integer(held) or pa.types.is_null(held)):
        raise pa.ArrowInvalid("it holds no text")
    options = pc.CastOptions(target_type=wanted, allow_time_truncate=True)
    converted = column if column.type == wanted else column.cast(options=options)
    if pa.types.is_string(wanted):
        converted.validate(full=True)  # Parquet readers take a string column's bytes for UTF-8 unseen
    return converted


def _is_text(held: pa.DataType) -> bool:
    return bool(pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_string_view(held))
