import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank.errors import TableError
from pinrank.parquet import cast, exists, filesystem_of, open_dataset, read_pieces, remove_folder, write_folder

WORDS = pa.table({"id": ["a", "b"], "n": [1, 2]})


def test_written_folder_reads_back(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "words")
    write_folder(WORDS, path)
    assert open_dataset(path, "words").to_table().equals(WORDS)


def test_writing_again_replaces_all_files_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "words"
    write_folder(WORDS, str(path))
    pq.write_table(WORDS, path / "part-00001.parquet")
    write_folder(WORDS.slice(1), str(path))
    assert open_dataset(str(path), "words").to_table().column("id").to_pylist() == ["b"]
    assert [each.name for each in tmp_path.iterdir()] == ["words"]


def test_uri_works_like_a_path(tmp_path: Path) -> None:
    uri = (tmp_path / "words").as_uri()
    write_folder(WORDS, uri)
    assert exists(uri)
    assert open_dataset(uri, "words").count_rows() == 2
    remove_folder(uri)
    assert not exists(uri)
    assert filesystem_of(uri)[1] == str(tmp_path / "words")


def test_removing_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    remove_folder(str(tmp_path / "nothing"))


def test_path_under_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match="cannot be written"):
        write_folder(WORDS, str(tmp_path / "file" / "words"))


def test_missing_path_empty_folder_and_wrong_content_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere: there is no such file or folder for table 'words'"):
        open_dataset(str(tmp_path / "nowhere"), "words")
    with pytest.raises(TableError, match="holds no Parquet file"):
        open_dataset(str(tmp_path), "words")
    (tmp_path / "part-0.parquet").write_text("id,n\n")
    with pytest.raises(TableError, match=r"part-0\.parquet"):
        list(read_pieces(str(tmp_path), "words", ["id"]))


def test_pieces_keep_the_types_of_their_own_file(tmp_path: Path) -> None:
    pq.write_table(WORDS, tmp_path / "b.parquet")
    pq.write_table(pa.table({"n": [0.5], "id": pa.array(["c"]).dictionary_encode()}), tmp_path / "a.parquet")
    pieces = list(read_pieces(str(tmp_path), "words", ["id", "n"]))
    assert [Path(piece.file).name for piece in pieces] == ["a.parquet", "b.parquet"]
    assert pieces[0].data.column("n").to_pylist() == [0.5]
    assert pieces[1].data.equals(WORDS)


def test_damaged_page_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.parquet"
    pq.write_table(pa.table({"id": [str(n) for n in range(10_000)]}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:2_000] = b"\xff" * 1_996
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"words\.parquet: damaged Parquet"):
        list(read_pieces(str(path), "words", ["id"]))


@pytest.mark.parametrize(
    ("column", "to", "expected"),
    [
        (pa.array(["a", None], pa.large_string()), pa.string(), ["a", None]),
        (pa.array(["a", "a"]).dictionary_encode(), pa.string(), ["a", "a"]),
        (pa.array(["a"], pa.string_view()), pa.string(), ["a"]),
        (pa.nulls(1), pa.string(), [None]),
        (pa.array([7]), pa.string(), ["7"]),
        (pa.array([7], pa.int64()), pa.int32(), [7]),
        (pa.array([7.0]), pa.int32(), [7]),
        (pa.array([0.5]), pa.float32(), [0.5]),
        (pa.array([[], None], pa.list_(pa.null())), pa.list_(pa.string()), [[], None]),
        (pa.array([["a"]], pa.large_list(pa.large_string())), pa.list_(pa.string()), [["a"]]),
        (pa.array([[1, 2]], pa.list_(pa.float64())), pa.list_(pa.float32(), 2), [[1, 2]]),
    ],
)
def test_columns_are_brought_to_the_types_of_the_schema(column: pa.Array, to: pa.DataType, expected: list) -> None:
    converted = cast(pa.table({"x": column}), pa.schema([("x", to)]), "here").column("x")
    assert converted.type == to
    assert converted.to_pylist() == expected


def test_finer_times_are_cut_to_microseconds() -> None:
    column = pa.array([1_500], pa.timestamp("ns"))
    (ts,) = (
        cast(pa.table({"ts": column}), pa.schema([("ts", pa.timestamp("us", "UTC"))]), "here").column("ts").to_pylist()
    )
    assert ts == datetime.datetime(1970, 1, 1, 0, 0, 0, 1, datetime.UTC)


@pytest.mark.parametrize(
    ("column", "to"),
    [
        (pa.array(["1"]), pa.int8()),
        (pa.array(["1"]).dictionary_encode(), pa.float32()),
        (pa.array([1.0]), pa.string()),
        (pa.array([True]), pa.string()),
        (pa.array([2.5]), pa.int8()),
        (pa.array([300]), pa.int8()),
        (pa.array(["a"]), pa.list_(pa.string())),
        (pa.array([["a"]]), pa.string()),
    ],
)
def test_other_types_are_refused_with_the_column_and_both_types(column: pa.Array, to: pa.DataType) -> None:
    with pytest.raises(TableError) as caught:
        cast(pa.table({"x": column}), pa.schema([("x", to)]), "here")
    assert f"here: column 'x' has type {column.type} where {to} is needed" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    with pytest.raises(TableError, match="column 'x'"):
        cast(pa.table({"x": broken}), pa.schema([("x", pa.string())]), "here")
