"""Sampled pairs, texts and earlier grades become the ordered work of a job, on disk."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank import tables
from pinrank.errors import TableError
from pinrank.labeling import work as work_module
from pinrank.labeling.manifest import survey
from pinrank.labeling.shards import Grading
from pinrank.labeling.store import Finished, finished
from pinrank.labeling.work import Inputs, Prepared, prepare
from pinrank.parquet import open_dataset
from pinrank.shard_folder import commit_shard, exclusive, publish
from tests.labeling.rows import GRADING, all_rows, labels, pin_texts, sampled

PINS = {f"p{number}": f"title {number}" for number in range(7)}
PAIRS = [(f"query {query}", pin) for query in range(10) for pin in PINS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """70 pairs of 10 queries and 7 pins."""
    tables.write(sampled(*PAIRS), str(tmp_path / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**PINS), str(tmp_path / "pin_text"), tables.PIN_TEXT)
    return tmp_path


def inputs(folder: Path, earlier: list[Finished] | None = None, max_share: float = 0.0) -> Inputs:
    return Inputs((str(folder / "sampled_pairs"),), str(folder / "pin_text"), earlier or [], max_share)


def prepared(folder: Path, given: Inputs, grading: Grading = GRADING, name: str = "out") -> tuple[Prepared, pa.Table]:
    with exclusive(folder / name):
        found = prepare(given, folder / name, grading)
        return found, all_rows(found.work)


def label(folder: Path, given: Inputs, grading: Grading = GRADING) -> Path:
    """Grade all that is to be graded; returns the finished folder."""
    with exclusive(folder):
        found = prepare(given, folder, grading)
        rows = all_rows(found.work)
        for shard in found.work.shards:
            commit_shard(labels(rows.slice(shard.start, shard.stop - shard.start)), folder, shard.name, grading)
        publish(folder, survey(folder, found.work.shards, grading))
    return folder


def test_every_pair_is_in_the_work_once_with_its_text(folder: Path) -> None:
    found, rows = prepared(folder, inputs(folder))
    assert (found.rows_in, found.known, found.work.num_rows) == (70, 0, 70)
    assert sorted(zip(rows["query"].to_pylist(), rows["pin_id"].to_pylist(), strict=True)) == sorted(PAIRS)
    assert all(PINS[row["pin_id"]] in row["pin_text"] for row in rows.to_pylist())


def test_nothing_of_the_way_there_is_left(folder: Path) -> None:
    prepared(folder, inputs(folder))
    assert [path.name for path in (folder / "out").iterdir()] == [".lock"]


def test_shards_depend_neither_on_the_files_nor_on_the_partitions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, rows = prepared(folder, inputs(folder))
    pairs = tables.read(str(folder / "sampled_pairs"), tables.SAMPLED_PAIRS)
    (folder / "sampled_pairs" / "part-00000.parquet").unlink()
    for number in range(20):
        part = pairs.slice(number * 4, 4)  # the last ones are empty
        pq.write_table(part, folder / "sampled_pairs" / f"day-{number:02d}.parquet")
    monkeypatch.setattr(work_module, "ROWS_IN_MEMORY", 9)
    cut, same_rows = prepared(folder, inputs(folder))
    assert cut.work.shards == whole.work.shards
    assert same_rows.equals(rows)


def test_on_three_repeated_pairs_of_ten_seven_are_graded(folder: Path) -> None:
    tables.write(sampled(*PAIRS[:21]), str(folder / "sampled_pairs"), tables.SAMPLED_PAIRS)
    yesterday = label(folder / "yesterday", inputs(folder))
    tables.write(sampled(*PAIRS), str(folder / "sampled_pairs"), tables.SAMPLED_PAIRS)
    earlier = finished([yesterday], folder / "out", GRADING)
    found, rows = prepared(folder, inputs(folder, earlier))
    assert (found.work.num_rows, found.known) == (70, 21)
    known = rows.filter(rows["logits"].is_valid())
    assert set(zip(known["query"].to_pylist(), known["pin_id"].to_pylist(), strict=True)) == set(PAIRS[:21])
    assert known["logits"].to_pylist() == [[0, 1, 2, 3, 4]] * 21
    assert known["num_tokens"].to_pylist() == [7] * 21


def test_what_is_known_renames_no_shard(folder: Path) -> None:
    fresh, _ = prepared(folder, inputs(folder))
    yesterday = label(folder / "yesterday", inputs(folder))
    again, _ = prepared(folder, inputs(folder, finished([yesterday], folder / "out", GRADING)))
    assert again.known == 70
    assert again.work.shards == fresh.work.shards


def test_a_pin_whose_text_changed_is_graded_again(folder: Path) -> None:
    yesterday = label(folder / "yesterday", inputs(folder))
    tables.write(pin_texts(**PINS | {"p0": "another title"}), str(folder / "pin_text"), tables.PIN_TEXT)
    found, _ = prepared(folder, inputs(folder, finished([yesterday], folder / "out", GRADING)))
    assert found.known == 60


def test_bad_pairs_go_to_quarantine_with_their_reasons_and_places(folder: Path) -> None:
    rows = [*sampled(*PAIRS[:4]).to_pylist(), *sampled(("query 0", "gone"), PAIRS[0]).to_pylist()]
    rows[1]["query"] = ""
    rows[2]["pair_key"] = "0" * 32
    for number, part in enumerate((rows[:3], rows[3:])):
        pq.write_table(
            pa.Table.from_pylist(part, tables.SAMPLED_PAIRS.schema),
            folder / "sampled_pairs" / f"part-0000{number}.parquet",
        )
    found, _ = prepared(folder, inputs(folder, max_share=1.0))
    assert (found.rows_in, found.work.num_rows) == (6, 2)
    aside = open_dataset(str(folder / "out" / "quarantine" / "sampled_pairs"), "quarantine").to_table().to_pylist()
    assert [(row["row"], row["reason"]) for row in aside] == [
        (1, "'query' is null or empty; 'pair_key' is not the key of its query and pin"),
        (2, "'pair_key' is not the key of its query and pin"),
        (4, "'pin_id' has no row in pin_text"),
        (5, "'pair_key' repeats the id of an earlier row"),
    ]


def test_too_many_bad_pairs_end_the_job_with_their_reasons(folder: Path) -> None:
    tables.write(pin_texts(p0="red"), str(folder / "pin_text"), tables.PIN_TEXT)
    with pytest.raises(TableError, match=r"60 of 70 rows .* more than the allowed share 0.5.*has no row in pin_text"):
        prepared(folder, inputs(folder, max_share=0.5))


def test_a_pin_with_two_texts_is_refused(folder: Path) -> None:
    twice = pa.concat_tables([pin_texts(**PINS), pin_texts(p3="another")])
    pq.write_table(twice, folder / "pin_text" / "part-00000.parquet")
    with pytest.raises(TableError, match=r"'pin_id' repeats .* 1 rows \(e.g. p3\)"):
        prepared(folder, inputs(folder))


def test_no_pairs_are_an_error(folder: Path) -> None:
    tables.write(sampled(), str(folder / "sampled_pairs"), tables.SAMPLED_PAIRS)
    with pytest.raises(TableError, match="holds no pairs"):
        prepared(folder, inputs(folder))


def test_pairs_of_several_tables_are_graded_together_and_a_pair_of_both_once(folder: Path) -> None:
    near = [("query 0", "p0"), ("another query", "p0"), ("another query", "p1")]
    tables.write(sampled(*near), str(folder / "near_pairs"), tables.SAMPLED_PAIRS)
    both = (str(folder / "sampled_pairs"), str(folder / "near_pairs"))
    found, rows = prepared(folder, Inputs(both, str(folder / "pin_text"), [], 0.1))
    assert (found.rows_in, rows.num_rows) == (73, 72)
    assert {("another query", "p0"), ("another query", "p1")} <= set(zip(*named(rows), strict=True))
    (bad,) = pq.read_table(folder / "out" / "quarantine" / "sampled_pairs")["reason"].to_pylist()
    assert "repeats" in bad


def test_a_table_without_pairs_adds_nothing_to_another(folder: Path) -> None:
    tables.write(sampled(), str(folder / "near_pairs"), tables.SAMPLED_PAIRS)
    both = (str(folder / "sampled_pairs"), str(folder / "near_pairs"))
    found, rows = prepared(folder, Inputs(both, str(folder / "pin_text"), [], 0.0))
    assert (found.rows_in, rows.num_rows) == (70, 70)


def named(rows: pa.Table) -> list[list[str]]:
    return [rows[name].to_pylist() for name in ("query", "pin_id")]
