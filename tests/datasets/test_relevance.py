import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank.datasets.relevance import Imported, drop_unused_pins, limit_impressions, read
from pinrank.errors import JudgmentError, TableError
from pinrank.tables import IMPRESSIONS, JUDGMENTS, PINS, faults
from pinrank.text import normalise_query
from tests import tidy_folder as tidy
from tests.tidy_folder import changed

LAX = 1.0
"""Quarantine whatever must be: these folders have few rows."""


def test_folder_becomes_pins_judgments_and_impressions(tmp_path: Path) -> None:
    imported = read(tidy.write(tmp_path))
    assert imported.pins.schema == PINS.schema
    assert imported.pins.column("pin_id").to_pylist() == ["a", "b", "c", "e"]
    assert imported.judgments.schema == JUDGMENTS.schema
    assert imported.judgments.slice(3, 1).to_pylist() == [
        {
            "judgment_id": "j4",
            "query_id": "q3",
            "query": "green scarf",
            "query_locale": "en",
            "pin_id": "c",
            "level": 3,
            "relevance": 0.5,
            "annotator_id": "aggregate",
            "source": "web",
            "pair_type": "kin",
            "split": "test",
        }
    ]
    assert imported.impressions.schema == IMPRESSIONS.schema
    assert imported.impressions.column("query").to_pylist() == ["red shoes", "red shoes", "blue hat", "green scarf"]
    assert imported.impressions.column("position").to_pylist() == [1, 2, 1, 1]
    assert imported.rows_in == 4 + 3 + 5 + 1 + 4
    assert all(record.num_rows == 0 for record in imported.quarantined.values())


def test_captions_become_one_text_without_repeats(tmp_path: Path) -> None:
    assert read(tidy.write(tmp_path)).pins.column("caption").to_pylist() == ["shoes, red shoes", "", "", ""]


def test_pin_without_text_is_kept_and_counted(tmp_path: Path) -> None:
    imported = read(tidy.write(tmp_path))
    assert imported.pins.column("title").to_pylist()[2] == ""
    assert imported.counts == {"pins_without_text": 1}


def test_board_titles_without_a_type_become_lists_of_strings(tmp_path: Path) -> None:
    board_titles = read(tidy.write(tmp_path)).pins.column("board_titles")
    assert board_titles.type == pa.list_(pa.string())
    assert board_titles.to_pylist() == [[], [], [], []]


def test_pool_and_impressions_may_be_absent(tmp_path: Path) -> None:
    imported = read(tidy.write(tmp_path, pool_items=None, impressions=None))
    assert imported.pins.num_rows == 3
    assert imported.impressions.num_rows == 0


def test_impressions_are_left_alone_when_not_wanted(tmp_path: Path) -> None:
    folder = tidy.write(tmp_path)
    (tmp_path / "impressions.parquet").write_bytes(b"broken")
    assert read(folder, with_impressions=False).impressions.num_rows == 0


@pytest.mark.parametrize("file", ["queries", "items", "judgements", "pool_items", "impressions"])
def test_large_and_dictionary_strings_read_the_same(tmp_path: Path, file: str) -> None:
    expected = read(tidy.write(tmp_path / "plain"))
    for to in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        table = tidy.FILES[file]
        types = [to if pa.types.is_string(column.type) else column.type for column in table.schema]
        other = table.cast(pa.schema(list(zip(table.column_names, types, strict=True))))
        found = read(tidy.write(tmp_path / str(to), **{file: other}))
        assert found.judgments.equals(expected.judgments)
        assert found.pins.equals(expected.pins)
        assert found.impressions.equals(expected.impressions)


def test_file_may_be_a_folder_of_parts(tmp_path: Path) -> None:
    folder = tidy.write(tmp_path, judgements=None)
    parts = tmp_path / "judgements.parquet"
    parts.mkdir()
    pq.write_table(tidy.JUDGEMENTS.slice(0, 2), parts / "part-0.parquet")
    pq.write_table(changed(tidy.JUDGEMENTS, "level", [5, 1, 5, 3, 1], pa.float32()).slice(2), parts / "part-1.parquet")
    assert read(folder).judgments.column("level").to_pylist() == [5, 1, 5, 3, 1]


def test_integer_ids_are_read_as_text(tmp_path: Path) -> None:
    queries = changed(tidy.QUERIES, "query_id", [1, 2, 3, 4])
    judgements = changed(tidy.JUDGEMENTS, "query_id", [1, 1, 2, 3, 4])
    imported = read(tidy.write(tmp_path, queries=queries, judgements=judgements, impressions=None))
    assert imported.judgments.column("query_id").to_pylist() == ["1", "1", "2", "3", "4"]


# Rows that break a rule: set aside with the reason, and the others kept.

Q, P, J, S = tidy.QUERIES, tidy.ITEMS, tidy.JUDGEMENTS, tidy.IMPRESSIONS
BAD_ROWS = {
    "null query id": ("queries", changed(Q, "query_id", ["q1", "q2", "q3", None]), [3], "'query_id' is null or empty"),
    "empty query": ("queries", changed(Q, "query", ["red shoes", "blue hat", "  ", "x"]), [2], "'query' is null"),
    "query of control characters": ("queries", changed(Q, "query", ["a", "b", "c", "\0\1"]), [3], "'query' is null"),
    "unknown split": ("queries", changed(Q, "split", ["train", "dev", "test", "val"]), [3], "none of train, dev, test"),
    "query in two splits": (
        "queries",
        changed(Q, "query", ["Blue  HAT", "blue hat", "c", "d"]),
        [0],
        "must stay unseen",
    ),
    "repeated query id": ("queries", changed(Q, "query_id", ["q1", "q1", "q3", "q4"]), [1], "repeats the id"),
    "null pin id": ("items", changed(P, "item_id", ["a", "b", None]), [2], "'item_id' is null or empty"),
    "repeated pin id": ("items", changed(P, "item_id", ["a", "a", "c"]), [1], "'item_id' repeats the id"),
    "pool repeats an item": ("pool_items", P.slice(0, 1), [0], "repeats an id of items.parquet"),
    "null level": ("judgements", changed(J, "level", [5, None, 5, 3, 1]), [1], "'level' is null"),
    "level outside": ("judgements", changed(J, "level", [0, 1, 6, 3, 300]), [0, 2, 4], "'level' is outside 1..5"),
    "level between": ("judgements", changed(J, "level", [5, 2.5, 5, 3, 1]), [1], "'level' is outside 1..5"),
    "level not a number": ("judgements", changed(J, "level", [5, 1, 5, 3, float("nan")]), [4], "outside 1..5"),
    "unknown query": (
        "judgements",
        changed(J, "query_id", ["q1", "?", "q2", "q3", "q4"]),
        [1],
        "queries.parquet lacks",
    ),
    "unknown pin": ("judgements", changed(J, "item_id", ["?", "b", "b", "c", "c"]), [0], "items.parquet lacks"),
    "repeated judgment id": ("judgements", changed(J, "judgement_id", list("jjklm")), [1], "repeats the id"),
    "another split": ("judgements", changed(J, "split", ["test", *["train"] * 4]), [0, 2, 3], "its query's split"),
    "null source": ("judgements", changed(J, "source", ["shop", None, "shop", "web", ""]), [1, 4], "'source' is null"),
    "impression of nothing": ("impressions", changed(S, "item_id", ["c", "?", "a", None]), [1, 3], "'item_id'"),
    "repeated impression": ("impressions", pa.concat_tables([S, S.slice(0, 1)]), [4], "repeats the id"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_row_is_quarantined_with_its_reason(tmp_path: Path, case: str) -> None:
    file, table, rows, reason = BAD_ROWS[case]
    imported = read(tidy.write(tmp_path, **{file: table}), max_quarantined_share=LAX)
    record = imported.quarantined[file]
    assert record.column("row").to_pylist() == rows
    assert all(reason in text for text in record.column("reason").to_pylist())
    assert record.column("file").to_pylist() == [str(tmp_path / f"{file}.parquet")] * len(rows)
    for data, schema in ((imported.pins, PINS), (imported.judgments, JUDGMENTS), (imported.impressions, IMPRESSIONS)):
        assert faults(data, schema) == []


@pytest.mark.parametrize("case", BAD_ROWS)
def test_too_many_bad_rows_are_an_error_that_names_file_column_rows_and_mend(tmp_path: Path, case: str) -> None:
    file, table, rows, _ = BAD_ROWS[case]
    with pytest.raises(TableError) as caught:
        read(tidy.write(tmp_path, **{file: table}))
    message = str(caught.value)
    assert f"{file}.parquet: {len(rows)} of {table.num_rows} rows cannot be used" in message
    named = {
        row
        for listed in re.findall(r"column '\w+' [^()]*\(rows ([\d, ]+)\)\. [A-Z]", message)
        for row in listed.split(", ")
    }
    assert named == set(map(str, rows))
    assert "\n" not in message


def test_judgments_of_a_quarantined_query_follow_it(tmp_path: Path) -> None:
    queries = changed(tidy.QUERIES, "query", ["", "blue hat", "green scarf", "old lamp"])
    imported = read(tidy.write(tmp_path, queries=queries), max_quarantined_share=LAX)
    assert imported.judgments.column("judgment_id").to_pylist() == ["j3", "j4", "j5"]
    assert imported.quarantined["judgements"].num_rows == 2


def test_impressions_of_an_unjudged_test_query_cannot_reach_training(tmp_path: Path) -> None:
    judgements = tidy.JUDGEMENTS.filter(pa.array([True, True, True, False, True]))
    imported = read(tidy.write(tmp_path, judgements=judgements), max_quarantined_share=LAX)
    assert imported.impressions.column("query").to_pylist() == ["red shoes", "red shoes", "blue hat"]
    assert "without any judgment" in imported.quarantined["impressions"].column("reason").to_pylist()[0]


def test_few_bad_rows_among_many_pass(tmp_path: Path) -> None:
    judgements = tidy.repeated(tidy.JUDGEMENTS, 100, "judgement_id")
    levels = [9, *judgements.column("level").to_pylist()[1:]]
    imported = read(tidy.write(tmp_path, judgements=changed(judgements, "level", levels)))
    assert imported.judgments.num_rows == 499
    assert imported.quarantined["judgements"].num_rows == 1


# Grades of another scale.


def test_level_map_reads_the_original_grades(tmp_path: Path) -> None:
    folder = tidy.write(tmp_path, judgements=tidy.JUDGEMENTS.drop_columns(["level"]))
    levels = read(folder, level_map={"0": 1, "1": 3, "2": 5}).judgments.column("level").to_pylist()
    assert levels == [5, 1, 5, 3, 1]


@pytest.mark.parametrize("to", [pa.int64(), pa.float64(), pa.string()])
def test_level_map_reads_column_level_where_there_are_no_original_grades(tmp_path: Path, to: pa.DataType) -> None:
    judgements = tidy.JUDGEMENTS.drop_columns(["label_original"])
    grades = ["2", "0", "2", "1", "0"] if to == pa.string() else [2, 0, 2, 1, 0]
    folder = tidy.write(tmp_path, judgements=changed(judgements, "level", grades, to))
    assert read(folder, level_map={"0": 1, "1": 3, "2": 5}).judgments.column("level").to_pylist() == [5, 1, 5, 3, 1]


def test_grade_that_the_map_lacks_is_quarantined(tmp_path: Path) -> None:
    imported = read(tidy.write(tmp_path), level_map={"0": 1, "2": 5}, max_quarantined_share=LAX)
    record = imported.quarantined["judgements"]
    assert record.column("row").to_pylist() == [3]
    assert "'label_original' holds a grade that the level map" in record.column("reason").to_pylist()[0]
    assert '"label_original": "1"' in record.column("content").to_pylist()[0]


def test_missing_levels_ask_for_a_level_map(tmp_path: Path) -> None:
    folder = tidy.write(tmp_path, judgements=tidy.JUDGEMENTS.drop_columns(["level"]))
    with pytest.raises(JudgmentError, match=r"judgements.parquet: lacks column 'level'.*--level-map, e.g. 0:1,1:3,2:5"):
        read(folder)


def test_levels_written_as_text_ask_for_a_level_map(tmp_path: Path) -> None:
    folder = tidy.write(tmp_path, judgements=changed(tidy.JUDGEMENTS, "level", list("51531")))
    with pytest.raises(JudgmentError, match=r"column 'level' has type string where numbers are needed.*--level-map"):
        read(folder)


def test_level_map_without_any_grades_names_both_columns(tmp_path: Path) -> None:
    folder = tidy.write(tmp_path, judgements=tidy.JUDGEMENTS.drop_columns(["level", "label_original"]))
    with pytest.raises(JudgmentError, match="'label_original' or 'level'"):
        read(folder, level_map={"0": 1})


# Folders and files that are not what they should be.


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere: there is no such folder. Point at the one"):
        read(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("file", ["queries", "items", "judgements"])
def test_missing_file_is_named(tmp_path: Path, file: str) -> None:
    with pytest.raises(TableError, match=rf"{file}\.parquet: there is no such file"):
        read(tidy.write(tmp_path, **{file: None}))


@pytest.mark.parametrize(
    ("file", "column"),
    [
        *(("queries", column) for column in tidy.QUERIES.column_names),
        *(("items", name) for name in ("item_id", "title", "description", "image_captions", "link_title", "locale")),
        *(("judgements", column) for column in ("judgement_id", "query_id", "item_id", "source", "level")),
        *(("impressions", column) for column in ("query_id", "item_id")),
    ],
)
def test_missing_column_is_named(tmp_path: Path, file: str, column: str) -> None:
    folder = tidy.write(tmp_path, **{file: tidy.FILES[file].drop_columns([column])})
    with pytest.raises(TableError, match=rf"{file}\.parquet: .*lacks column '{column}'"):
        read(folder)


@pytest.mark.parametrize("column", ["rel01", "pair_type", "split"])
def test_optional_judgement_columns_may_be_absent(tmp_path: Path, column: str) -> None:
    imported = read(tidy.write(tmp_path, judgements=tidy.JUDGEMENTS.drop_columns([column])))
    assert imported.judgments.column("relevance").null_count == 0
    assert imported.judgments.column("split").to_pylist() == ["train", "train", "dev", "test", "train"]


@pytest.mark.parametrize("file", tidy.FILES)
def test_file_that_is_no_parquet_is_named(tmp_path: Path, file: str) -> None:
    folder = tidy.write(tmp_path)
    (tmp_path / f"{file}.parquet").write_text("query_id,query\n")
    with pytest.raises(TableError, match=rf"{file}\.parquet"):
        read(folder)


def test_truncated_file_is_named(tmp_path: Path) -> None:
    folder = tidy.write(tmp_path)
    path = tmp_path / "items.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match=r"items\.parquet"):
        read(folder)


@pytest.mark.parametrize(
    ("file", "column", "values"),
    [
        ("queries", "query", [1.5, 2.5, 3.5, 4.5]),
        ("items", "image_captions", ["a", "b", "c"]),
        ("items", "item_id", [True, False, True]),
        ("impressions", "rank", ["1", "2", "3", "4"]),
        ("judgements", "rel01", ["1", "2", "3", "4", "5"]),
    ],
)
def test_wrong_type_is_named(tmp_path: Path, file: str, column: str, values: list[object]) -> None:
    folder = tidy.write(tmp_path, **{file: changed(tidy.FILES[file], column, values)})
    with pytest.raises(TableError, match=rf"{file}\.parquet: column '{column}' has type"):
        read(folder)


# Parts of a folder.


def test_all_queries_can_be_put_into_one_split(tmp_path: Path) -> None:
    queries = changed(tidy.QUERIES, "query", ["blue hat", "blue hat", "c", "d"]).drop_columns(["split"])
    imported = read(tidy.write(tmp_path, queries=queries), split_of_all="test", with_impressions=False)
    assert imported.judgments.column("split").to_pylist() == ["test"] * 5


def test_limited_impressions_do_not_depend_on_their_order(tmp_path: Path) -> None:
    forwards = read(tidy.write(tmp_path / "a"))
    backwards = read(tidy.write(tmp_path / "b", impressions=tidy.IMPRESSIONS.take([3, 2, 1, 0])))
    ids = [
        sorted(limit_impressions(each, 2, seed=7).impressions.column("impression_id").to_pylist())
        for each in (forwards, backwards)
    ]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 2
    assert limit_impressions(forwards, 2, seed=7).counts["impressions_left_out"] == 2


def test_unused_pins_are_dropped_and_counted(tmp_path: Path) -> None:
    imported = drop_unused_pins(limit_impressions(read(tidy.write(tmp_path)), 0, seed=0))
    assert imported.pins.column("pin_id").to_pylist() == ["a", "b", "c"]
    assert imported.counts["pins_unused"] == 1


# The real data.


@pytest.fixture(scope="module")
def imported(relevance_dir: Path) -> Imported:
    return read(str(relevance_dir))


def test_every_real_judgment_keeps_its_level_split_and_source(relevance_dir: Path, imported: Imported) -> None:
    raw = pq.read_table(relevance_dir / "judgements.parquet")
    assert all(record.num_rows == 0 for record in imported.quarantined.values())
    for ours, theirs in (("level", "level"), ("split", "split"), ("source", "source"), ("pin_id", "item_id")):
        assert imported.judgments.column(ours).to_pylist() == raw.column(theirs).to_pylist()
    num_rows = {name: pq.read_metadata(relevance_dir / f"{name}.parquet").num_rows for name in tidy.FILES}
    assert imported.pins.num_rows == num_rows["items"] + num_rows["pool_items"]
    assert imported.impressions.num_rows == num_rows["impressions"]


def test_no_real_query_text_is_in_two_splits(imported: Imported) -> None:
    judgments = imported.judgments
    split_of: dict[str, str] = {}
    for query, split in zip(judgments.column("query").to_pylist(), judgments.column("split").to_pylist(), strict=True):
        assert split_of.setdefault(normalise_query(query), split) == split
