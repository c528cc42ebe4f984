from pathlib import Path

import pytest

from pinrank.datasets.delimited import read_delimited
from pinrank.errors import TableError


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


def test_cells_are_text_and_empty_ones_null(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,name,grade\n007,Löwe,1.00\n8,,3\n")
    assert read_delimited(path, ("name", "id", "grade")).rows.to_pylist() == [
        {"name": "Löwe", "id": "007", "grade": "1.00"},
        {"name": None, "id": "8", "grade": "3"},
    ]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'id\tname\n1\t"48""\tdoor\nwhite"\n')
    assert read_delimited(path, ("id", "name"), delimiter="\t").rows.to_pylist() == [
        {"id": "1", "name": '48"\tdoor\nwhite'}
    ]


def test_line_with_another_number_of_cells_is_recorded_with_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,name\n1,a\n2,b,c\n3,d\n")
    found = read_delimited(path, ("id", "name"))
    assert found.rows.column("id").to_pylist() == ["1", "3"]
    assert found.broken.num_lines == 3
    assert found.broken.record.to_pylist() == [
        {"file": path, "row": 1, "reason": "has 3 cells where the header has 2", "content": "2,b,c"}
    ]


def test_absent_optional_column_is_null(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id\n1\n")
    assert read_delimited(path, ("id",), ("brand",)).rows.to_pylist() == [{"id": "1", "brand": None}]


def test_latin_1_is_read_when_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,name\n1,45° Ofen Größe\n", "latin-1")
    assert read_delimited(path, ("name",), encoding="latin-1").rows.column("name").to_pylist() == ["45° Ofen Größe"]


def test_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,name\n1,a\n", "utf-8-sig")
    assert read_delimited(path, ("id",)).rows.column("id").to_pylist() == ["1"]


def test_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,name\n1,a\n")
    with pytest.raises(TableError, match=r"a\.csv: lacks column 'grade'; it has id, name\."):
        read_delimited(path, ("id", "grade"))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"a\.csv: there is no such file"):
        read_delimited(str(tmp_path / "a.csv"), ("id",))


def test_bytes_that_are_no_text_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,name\n1,\xff\xfe\n")
    with pytest.raises(TableError, match=r"a\.csv: cannot be read"):
        read_delimited(str(tmp_path / "a.csv"), ("id", "name"))


def test_empty_file_lacks_its_columns(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="lacks column 'id'"):
        read_delimited(write(tmp_path / "a.csv", ""), ("id",))
