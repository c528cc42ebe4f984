"""Ordered rows become shards that are named by what they hold, in whatever pieces they come."""

from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from pinrank.errors import CommitError
from pinrank.shard_folder import Shard
from pinrank.shard_work import Work, content_hash, read_work, write_work


class Terms(BaseModel):
    """Terms of nothing."""

    KEY: ClassVar[bytes] = b"test"
    version: int = 0

    @property
    def hash(self) -> str:
        return str(self.version)


ROWS = pa.table(
    {"key": ["a", None, "", "d", "\u00e9\u6f22"], "weight": [1.0, 2.5, None, 0.0, -1.0], "extra": [1, 2, 3, 4, 5]}
)
NAMED_BY = ["key", "weight"]


def work_of(folder: Path, pieces: list[pa.Table], terms: Terms | None = None) -> Work:
    return write_work(folder, pieces, NAMED_BY, 2, terms or Terms())


def test_shards_hold_a_fixed_number_of_rows_and_the_last_one_the_rest(tmp_path: Path) -> None:
    work = work_of(tmp_path, [ROWS])
    assert [(shard.start, shard.stop) for shard in work.shards] == [(0, 2), (2, 4), (4, 5)]
    assert work.num_rows == 5


def test_a_shards_rows_are_read_back_by_its_place(tmp_path: Path) -> None:
    work = work_of(tmp_path, [ROWS])
    second, third = work.todo({work.shards[0].name})
    assert [read_work(pa.Table.from_pylist([told])) for told in (second, third)] == [ROWS.slice(2, 2), ROWS.slice(4)]
    assert work.rows(1) == ROWS.slice(2, 2)


def test_a_damaged_work_file_is_an_error(tmp_path: Path) -> None:
    work = work_of(tmp_path, [ROWS])
    content = bytearray(work.path.read_bytes())
    content[work.places[1].offset + 100] ^= 1
    work.path.write_bytes(content)
    assert work.rows(0) == ROWS.slice(0, 2)
    with pytest.raises(CommitError, match="changed since this job wrote it"):
        work.rows(1)


def test_a_work_file_of_a_job_that_has_ended_is_not_taken_for_another(tmp_path: Path) -> None:
    assert work_of(tmp_path, [ROWS]).path != work_of(tmp_path, [ROWS]).path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(cuts=st.lists(st.integers(0, 5), max_size=4))
def test_pieces_of_any_size_make_the_same_shards(tmp_path: Path, cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), 5]
    pieces = [ROWS.slice(start, stop - start) for start, stop in pairwise(bounds)]
    found = work_of(tmp_path, pieces)
    assert found.shards == work_of(tmp_path, [ROWS]).shards
    assert pa.concat_tables([found.rows(number) for number in range(len(found.shards))]) == ROWS


def test_another_value_renames_only_the_shard_that_holds_it(tmp_path: Path) -> None:
    changed = ROWS.set_column(0, "key", pa.array(["a", None, "", "d", "e"]))
    before, after = (work_of(tmp_path, [rows]).shards for rows in (ROWS, changed))
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, True, False]


def test_columns_that_name_nothing_change_no_name(tmp_path: Path) -> None:
    changed = ROWS.set_column(2, "extra", pa.array([0] * 5))
    assert work_of(tmp_path, [ROWS]).shards == work_of(tmp_path, [changed]).shards


def test_other_terms_rename_every_shard(tmp_path: Path) -> None:
    names = [{shard.name for shard in work_of(tmp_path, [ROWS], Terms(version=number)).shards} for number in (0, 1)]
    assert not names[0] & names[1]


@pytest.mark.parametrize(
    ("one", "other"), [(["ab", "c"], ["a", "bc"]), ([None], [""]), (["a", None], [None, "a"]), (["a"], ["a", ""])]
)
def test_different_values_have_different_hashes(one: list[str | None], other: list[str | None]) -> None:
    hashes = {content_hash(pa.table({"key": pa.array(values, pa.string())}), "") for values in (one, other)}
    assert len(hashes) == 2


def test_no_rows_make_no_shards(tmp_path: Path) -> None:
    assert work_of(tmp_path, []).shards == work_of(tmp_path, [ROWS.slice(0, 0)]).shards == ()
    assert work_of(tmp_path, []).num_rows == 0
    assert Shard("x", 0, 1) not in work_of(tmp_path, []).shards
