from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank.errors import JudgmentError, TableError
from pinrank.tables import JUDGMENTS, PINS, SOFT_LABELS, TABLES, Table, faults, quarantine, read, read_columns, write
from pinrank.text import FIELDS


def judgments(levels: list, to: pa.DataType | None = None, first: int = 0) -> pa.Table:
    ids = [f"j{first + row}" for row in range(len(levels))]
    columns = {
        "judgment_id": ids,
        "query_id": ["q"] * len(ids),
        "query": ["red shoes"] * len(ids),
        "query_locale": ["en"] * len(ids),
        "pin_id": ids,
        "level": pa.array(levels, to),
        "relevance": pa.array([0.5] * len(ids), pa.float32()),
        "annotator_id": [None] * len(ids),
        "source": ["shop"] * len(ids),
        "pair_type": [""] * len(ids),
        "split": ["train"] * len(ids),
    }
    return pa.table(columns)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_empty_table_reads_back_with_its_schema(tmp_path: Path, table: Table) -> None:
    path = str(tmp_path / table.name)
    write(table.schema.empty_table(), path, table)
    data = read(path, table)
    assert data.schema == table.schema
    assert data.num_rows == 0


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_required_and_key_columns_are_columns(table: Table) -> None:
    assert {*table.required, *table.key} <= set(table.schema.names)


def test_pin_text_holds_every_field() -> None:
    assert set(FIELDS) <= set(next(table for table in TABLES if table.name == "pin_text").schema.names)


@pytest.mark.parametrize("to", [pa.int8(), pa.int64(), pa.float64()])
def test_levels_read_from_any_number_type(tmp_path: Path, to: pa.DataType) -> None:
    pq.write_table(judgments([1, 5], to), tmp_path / "j.parquet")
    assert read(str(tmp_path / "j.parquet"), JUDGMENTS).column("level").to_pylist() == [1, 5]


@pytest.mark.parametrize("levels", [[1, 9, 3], [1, 2.5, 3], [1, float("nan"), 3], [1, 300, 3], [1, -1, 3]])
def test_level_outside_the_scale_names_file_column_rows_and_mend(tmp_path: Path, levels: list) -> None:
    path = tmp_path / "j.parquet"
    pq.write_table(judgments(levels), path)
    with pytest.raises(JudgmentError) as caught:
        read(str(path), JUDGMENTS)
    assert str(caught.value) == (
        f"{path}: column 'level' is outside 1..5 in 1 row (rows 1). Map your scale with --level-map, e.g. 0:1,1:3,2:5."
    )


def test_fault_in_a_folder_names_the_file_and_its_own_row(tmp_path: Path) -> None:
    pq.write_table(judgments([1, 2, 3]), tmp_path / "part-0.parquet")
    pq.write_table(judgments([4, 7], pa.float32(), first=3), tmp_path / "part-1.parquet")
    pq.write_table(judgments([], pa.int8()), tmp_path / "part-2.parquet")
    pq.write_table(judgments([0], first=5), tmp_path / "part-3.parquet")
    with pytest.raises(JudgmentError, match=r"in 2 rows \(rows part-1\.parquet:1, part-3\.parquet:0\)"):
        read(str(tmp_path), JUDGMENTS)


def test_key_repeated_across_files_is_found(tmp_path: Path) -> None:
    pq.write_table(judgments([1]), tmp_path / "part-0.parquet")
    pq.write_table(judgments([2]), tmp_path / "part-1.parquet")
    with pytest.raises(JudgmentError, match=r"'judgment_id' repeats .*part-1\.parquet:0"):
        read(str(tmp_path), JUDGMENTS)


def test_column_missing_from_one_file_of_many_is_named_not_filled(tmp_path: Path) -> None:
    pq.write_table(judgments([1]), tmp_path / "part-0.parquet")
    pq.write_table(judgments([2], first=1).drop_columns(["split"]), tmp_path / "part-1.parquet")
    with pytest.raises(JudgmentError, match=r"part-1\.parquet: table 'judgments' lacks column 'split'"):
        read(str(tmp_path), JUDGMENTS)


def test_wrong_type_is_named(tmp_path: Path) -> None:
    pq.write_table(judgments(["5"]), tmp_path / "j.parquet")
    with pytest.raises(TableError, match=r"j\.parquet: column 'level' has type string where int8 is needed"):
        read(str(tmp_path / "j.parquet"), JUDGMENTS)


@pytest.mark.parametrize(
    ("column", "value"), [("judgment_id", None), ("query", " "), ("pin_id", ""), ("level", None), ("split", None)]
)
def test_null_or_empty_required_value_is_named(tmp_path: Path, column: str, value: object) -> None:
    data = judgments([3])
    at = data.column_names.index(column)
    pq.write_table(data.set_column(at, column, pa.array([value], data.column(column).type)), tmp_path / "j.parquet")
    with pytest.raises(JudgmentError, match=rf"column '{column}' is null or empty in 1 row \(rows 0\)"):
        read(str(tmp_path / "j.parquet"), JUDGMENTS)


def test_duplicate_pin_ids_are_named(tmp_path: Path) -> None:
    pins = pa.Table.from_pylist([{"pin_id": "a"}, {"pin_id": "b"}, {"pin_id": "a"}], PINS.schema)
    pq.write_table(pins, tmp_path / "p.parquet")
    with pytest.raises(TableError, match=r"column 'pin_id' repeats the id of an earlier row in 1 row \(rows 2\)"):
        read(str(tmp_path / "p.parquet"), PINS)


def test_some_columns_can_be_read_alone(tmp_path: Path) -> None:
    pq.write_table(judgments([1, 2]), tmp_path / "j.parquet")
    data = read(str(tmp_path / "j.parquet"), JUDGMENTS, ["level", "query"])
    assert data.column_names == ["level", "query"]


def test_read_columns_does_not_look_at_values(tmp_path: Path) -> None:
    pq.write_table(judgments([9, None]), tmp_path / "j.parquet")
    data = read_columns(str(tmp_path / "j.parquet"), JUDGMENTS)
    assert [str(each) for each in faults(data, JUDGMENTS)] != []


def test_write_refuses_other_columns(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="table 'judgments' has columns"):
        write(judgments([1]).drop_columns(["split"]), str(tmp_path / "j"), JUDGMENTS)


def test_soft_labels_keep_five_logits(tmp_path: Path) -> None:
    row = dict.fromkeys(("pair_key", "query", "pin_id", "teacher", "fingerprint"), "x")
    data = pa.Table.from_pylist([{**row, "logits": [0.0, 1.0, 2.0, 3.0, 4.0]}], SOFT_LABELS.schema)
    write(data, str(tmp_path / "s"), SOFT_LABELS)
    assert read(str(tmp_path / "s"), SOFT_LABELS).column("logits").to_pylist() == [[0, 1, 2, 3, 4]]


def test_quarantine_writes_bad_rows_returns_the_rest_and_forgets_old_ones(tmp_path: Path) -> None:
    data = judgments([1, 9, 3], pa.int8())
    kept = quarantine(data, faults(data, JUDGMENTS), str(tmp_path), "judgments", "j.parquet")
    assert kept.column("level").to_pylist() == [1, 3]
    record = pq.read_table(tmp_path / "judgments").to_pylist()
    assert [(row["file"], row["row"], row["reason"]) for row in record] == [("j.parquet", 1, "'level' is outside 1..5")]
    assert quarantine(kept, [], str(tmp_path), "judgments", "j.parquet").equals(kept)
    assert not (tmp_path / "judgments").exists()
