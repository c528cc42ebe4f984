from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank import logs
from pinrank.errors import TableError
from pinrank.tables import PAIR_SCORES

NAMES = PAIR_SCORES.schema.names


def write(folder: Path, name: str, num_rows: int, group: int) -> None:
    folder.mkdir(exist_ok=True)
    table = pa.Table.from_pylist(
        [{"query": f"{name}{row}", "pin_id": "p"} for row in range(num_rows)], PAIR_SCORES.schema
    )
    pq.write_table(table, folder / f"{name}.parquet", row_group_size=group)


@pytest.mark.parametrize("rows", [1, 3, 4, 100])
def test_pieces_of_all_stretches_are_the_log(tmp_path: Path, rows: int) -> None:
    write(tmp_path / "log", "a", 10, 3)
    write(tmp_path / "log", "b", 4, 4)
    stretches = logs.cut(str(tmp_path / "log"), PAIR_SCORES, rows)
    assert logs.num_rows(stretches) == 14
    found = []
    for stretch in stretches:
        for start, piece in logs.pieces(stretch, NAMES, rows):
            assert piece.num_rows <= rows
            name = Path(stretch.file).stem
            assert piece["query"].to_pylist() == [f"{name}{start + row}" for row in range(piece.num_rows)]
            found += piece["query"].to_pylist()
    assert found == [f"a{row}" for row in range(10)] + [f"b{row}" for row in range(4)]


def test_empty_log_has_stretches_without_rows(tmp_path: Path) -> None:
    write(tmp_path / "log", "a", 0, 1)
    (stretch,) = logs.cut(str(tmp_path / "log"), PAIR_SCORES, 5)
    assert stretch.num_rows == 0
    assert sum(piece.num_rows for _, piece in logs.pieces(stretch, NAMES, 5)) == 0


def test_file_that_breaks_off_is_named(tmp_path: Path) -> None:
    write(tmp_path / "log", "a", 5000, 5000)
    (stretch,) = logs.cut(str(tmp_path / "log"), PAIR_SCORES, 5000)
    content = bytearray(Path(stretch.file).read_bytes())
    content[8:200] = b"x" * 192
    Path(stretch.file).write_bytes(content)
    with pytest.raises(TableError, match=r"a\.parquet: damaged Parquet"):
        list(logs.pieces(stretch, NAMES, 5000))
