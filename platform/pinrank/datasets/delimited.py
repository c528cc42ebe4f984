"""Text files with a header and a delimiter, as their owners publish them: all cells as text, broken lines recorded."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from pinrank.datasets.tidy_form import Broken
from pinrank.errors import TableError
from pinrank.parquet import exists, filesystem_of, one_line

_HEADER_BYTES = 65_536


@dataclass(frozen=True)
class Delimited:
    """The rows of a file, every column text (an empty cell is null), and its lines that have too many or few cells."""

    rows: pa.Table
    broken: Broken


def header(path: str, delimiter: str = ",", encoding: str = "utf-8") -> list[str]:
    """The names in a file's first line; TableError when it is missing or no text of this encoding."""
    if not exists(path):
        raise TableError(f"{path}: there is no such file. Fix the path, or download it.")
    filesystem, inner = filesystem_of(path)
    with filesystem.open_input_file(inner) as file:
        line = file.read(_HEADER_BYTES).split(b"\n", 1)[0]
    try:
        text = line.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as cause:
        raise TableError(f"{path}: its first line is no {encoding}: {cause.reason}. Download it again.") from cause
    return next(csv.reader(io.StringIO(text.rstrip("\r")), delimiter=delimiter), [])


def read_delimited(
    path: str,
    columns: tuple[str, ...],
    optional: tuple[str, ...] = (),
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Delimited:
    """Columns of a file, by name; absent optional ones are null.

    Cells may be quoted and then hold line breaks. A line with another number of cells than the header is no row: it is
    recorded. Raises TableError when the file is missing, lacks a column or is no text of this encoding.
    """
    held = header(path, delimiter, encoding)
    if missing := [name for name in columns if name not in held]:
        raise TableError(
            f"{path}: lacks column {', '.join(map(repr, missing))}; it has {', '.join(held)}. Is it the owner's file, "
            "as published?"
        )
    broken: list[dict[str, Any]] = []
    filesystem, inner = filesystem_of(path)
    try:
        with filesystem.open_input_file(inner) as file:
            rows = _parse(file, path, (*columns, *optional), delimiter, encoding, broken)
    except (pa.ArrowException, UnicodeDecodeError) as cause:
        raise TableError(f"{path}: cannot be read: {one_line(cause)}. Download it again.") from cause
    record = pa.table(
        {
            "file": pa.array([path] * len(broken), pa.string()),
            "row": pa.array([each["row"] for each in broken], pa.int64()),
            "reason": pa.array([each["reason"] for each in broken], pa.string()),
            "content": pa.array([each["content"] for each in broken], pa.string()),
        }
    )
    return Delimited(rows, Broken(record, rows.num_rows + record.num_rows))


def _parse(
    file: pa.NativeFile,
    path: str,
    names: tuple[str, ...],
    delimiter: str,
    encoding: str,
    broken: list[dict[str, Any]],
) -> pa.Table:
    def set_aside(line: Any) -> str:
        reason = f"has {line.actual_columns} cells where the header has {line.expected_columns}"
        broken.append({"row": (line.number or 2) - 2, "reason": reason, "content": line.text})
        return "skip"

    return pacsv.read_csv(
        file,
        read_options=pacsv.ReadOptions(encoding=encoding, use_threads=False),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside),
        convert_options=pacsv.ConvertOptions(
            include_columns=list(names),
            include_missing_columns=True,
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
