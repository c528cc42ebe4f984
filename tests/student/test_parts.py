"""An epoch sees every row once, in an order that can be entered in the middle, on any number of workers."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinrank.student.parts import CHUNK, Order, Part, Parts, mean_weight, num_batches, write_part

BIGGEST = 5 * CHUNK


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of each size that the tests use, whose rows are numbered."""
    folder = tmp_path_factory.mktemp("parts")
    lengths = np.random.default_rng(0).integers(1, 30, BIGGEST).tolist()
    for number in range(3):
        rows = pa.table({"row": np.arange(BIGGEST) + number * BIGGEST, "pin_ids": [[7] * size for size in lengths]})
        write_part(rows, folder / f"{number}.arrow")
    return folder


def parts(folder: Path, *sizes: int) -> Parts:
    for number, size in enumerate(sizes):
        whole = pa.ipc.open_file(pa.memory_map(str(folder / f"{number}.arrow"))).read_all()
        write_part(whole.slice(0, size), folder / f"{number}-{size}.arrow")
    return Parts([Part(path=folder / f"{number}-{size}.arrow", num_rows=size) for number, size in enumerate(sizes)])


def rows(found: Parts, order: Order, done: int = 0) -> list[list[int]]:
    return [batch["row"].to_pylist() for batch in found.batches(order, done)]


@given(
    sizes=st.lists(st.integers(0, BIGGEST), min_size=1, max_size=3).filter(any),
    batch_size=st.integers(1, 40),
    num_ranks=st.integers(1, 3),
    seed=st.integers(0, 9),
)
@settings(max_examples=60)
def test_every_rank_takes_the_same_number_of_steps_and_no_row_comes_twice(
    folder: Path, sizes: list[int], batch_size: int, num_ranks: int, seed: int
):
    found = parts(folder, *sizes)
    orders = [Order(batch_size, seed, rank, num_ranks) for rank in range(num_ranks)]
    of_ranks = [rows(found, order) for order in orders]
    assert {len(batches) for batches in of_ranks} == {num_batches(sum(sizes), batch_size, num_ranks)}
    seen = [row for batches in of_ranks for batch in batches for row in batch]
    assert len(seen) == len(set(seen)) == sum(sizes) // num_ranks * num_ranks
    assert max((len(batch) for batches in of_ranks for batch in batches), default=0) <= batch_size


@pytest.mark.parametrize("done", [0, 1, 63, 64, 65, 130])
def test_an_epoch_that_is_entered_in_the_middle_goes_on_with_the_same_batches(folder: Path, done: int):
    found, order = parts(folder, BIGGEST, 100, BIGGEST), Order(batch_size=5, seed=3)
    assert rows(found, order, done) == rows(found, order)[done:]


def test_the_mean_weight_is_of_the_rows_of_all_parts(tmp_path: Path):
    weights = [[1.0] * 5, [0.5] * 3, []]
    tables = [pa.table({"weight": pa.array(each, pa.float32())}) for each in weights]
    found = [write_part(table, tmp_path / f"{number}.arrow") for number, table in enumerate(tables)]
    assert mean_weight(found) == 6.5 / 8
    assert mean_weight(found[:1]) == mean_weight([]) == 1.0


def test_epochs_differ_and_mix_the_parts(folder: Path):
    found = parts(folder, BIGGEST, BIGGEST, BIGGEST)
    one, other = rows(found, Order(batch_size=16, seed=0)), rows(found, Order(batch_size=16, seed=1))
    assert one != other
    mixed = sum(len({row // BIGGEST for row in batch}) > 1 for batch in one)
    assert mixed > len(one) / 2
