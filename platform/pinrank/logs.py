"""A log of any size: cut into stretches of about equal size, each read in pieces that fit memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pinrank.errors import TableError
from pinrank.parquet import filesystem_of, one_line, open_dataset
from pinrank.tables import Table, require_columns


@dataclass(frozen=True)
class Stretch:
    """Some row groups of one file; `start` is the number of their first row in it, `number` their place in the log."""

    number: int
    path: str
    file: str
    row_groups: tuple[int, ...]
    start: int
    num_rows: int


def cut(path: str, table: Table, rows: int) -> list[Stretch]:
    """A Parquet file or folder as stretches of at most `rows` rows, or of one row group where that is larger.

    Reads only the footers. Raises TableError when the path is missing, is no Parquet or lacks a column.
    """
    require_columns(path, table, table.schema.names)
    stretches: list[Stretch] = []
    for fragment in open_dataset(path, table.name).get_fragments():
        _refuse_lost_rows(fragment.path, fragment.metadata.num_rows, sum(each.num_rows for each in fragment.row_groups))
        groups: list[int] = []
        start, held = 0, 0
        for group in fragment.row_groups:
            if groups and held + group.num_rows > rows:
                stretches.append(Stretch(len(stretches), path, fragment.path, tuple(groups), start, held))
                groups, start, held = [], start + held, 0
            groups.append(group.id)
            held += group.num_rows
        stretches.append(Stretch(len(stretches), path, fragment.path, tuple(groups), start, held))
    return stretches


def num_rows(stretches: Sequence[Stretch]) -> int:
    """Rows of all of them."""
    return sum(stretch.num_rows for stretch in stretches)


def pieces(stretch: Stretch, columns: Sequence[str], rows: int) -> Iterator[tuple[int, pa.Table]]:
    """The number of a piece's first row in its file, and the piece: at most `rows` rows in the types of the file.

    Raises TableError for a damaged file.
    """
    filesystem, _ = filesystem_of(stretch.path)
    start = stretch.start
    try:
        with filesystem.open_input_file(stretch.file) as source:
            file = pq.ParquetFile(source, page_checksum_verification=True)
            for batch in file.iter_batches(rows, row_groups=list(stretch.row_groups), columns=list(columns)):
                yield start, pa.Table.from_batches([batch])
                start += batch.num_rows
        _refuse_lost_rows(stretch.file, stretch.num_rows, start - stretch.start)
    except (pa.ArrowException, OSError) as cause:
        raise TableError(
            f"{stretch.file}: damaged Parquet: {one_line(cause)}. Write the file again; a copy may have broken off."
        ) from cause


def _refuse_lost_rows(file: str, said: int, found: int) -> None:
    if said != found:
        raise TableError(
            f"{file}: damaged Parquet: holds {found} rows where {said} are due. Write the file again; a copy may have "
            "broken off."
        )
