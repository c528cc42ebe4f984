from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pinrank.keys import column_hashes
from pinrank.spill import partition_of, read_partition, spill


def rows(*names: str | None) -> pa.Table:
    encoded = pa.array(names, pa.string()).dictionary_encode()
    return pa.table({"pin_id": pa.array([name or "" for name in names], pa.string()), "name": encoded})


def keys(table: pa.Table) -> partial:
    return partial(column_hashes, table.column("pin_id"))


@pytest.mark.parametrize("num_partitions", [1, 3])
def test_every_row_is_in_one_partition_that_its_key_decides(tmp_path: Path, num_partitions: int) -> None:
    tables = [rows(*"abcdefg"), rows(*"ghij", None), rows()]
    spilled = [spill(each, keys(each), num_partitions, tmp_path / str(n)) for n, each in enumerate(tables)]
    found = [read_partition(spilled, partition, tables[0].schema) for partition in range(num_partitions)]
    assert sorted(pin for part in found for pin in part["pin_id"].to_pylist()) == sorted([*"abcdefgghij", ""])
    for partition, part in enumerate(found):
        assert set(partition_of(keys(part)(), num_partitions).tolist()) <= {partition}
        assert [name or "" for name in part["name"].to_pylist()] == part["pin_id"].to_pylist()


def test_rows_keep_their_order_within_a_partition(tmp_path: Path) -> None:
    table = pa.table({"pin_id": ["a", "b"] * 50, "row": list(range(100))})
    spilled = spill(table, keys(table), 2, tmp_path / "0")
    for partition in range(2):
        found = read_partition([spilled], partition, table.schema)["row"].to_pylist()
        assert found == sorted(found)


def test_partitions_of_random_keys_are_about_equal() -> None:
    keys_N = np.random.default_rng(0).integers(0, 2**64, 30_000, dtype=np.uint64)
    assert np.bincount(partition_of(keys_N, 3), minlength=3).min() > 9_700


def test_partition_without_files_is_empty() -> None:
    assert read_partition([], 0, rows().schema).num_rows == 0
