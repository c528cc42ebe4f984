"""pinrank.evaluation.task: the judged pairs of a run's tables, and of a folder in the public form."""

from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.datasets import relevance
from pinrank.datasets.world import WorldSettings, generate
from pinrank.engagement.pin_text import pin_text
from pinrank.engagement.settings import EngagementSettings
from pinrank.errors import JudgmentError, TableError
from pinrank.evaluation import task as tasks
from pinrank.tables import JUDGMENTS
from pinrank.unseen import NOTHING
from tests import tidy_folder

SMALL = WorldSettings(num_pins=200, num_queries=40, judged_per_query=6, num_impressions=0)


def test_a_split_of_a_run_is_paired_with_its_pins() -> None:
    world = generate(SMALL)
    catalogue = pin_text(world.pins, None, NOTHING, EngagementSettings()).to_pylist()
    task = tasks.from_tables(world.judgments, catalogue, "test")
    expected = [row for row in world.judgments.to_pylist() if row["split"] == "test"]
    assert [(query, pin["pin_id"]) for query, pin in task.pairs] == [(row["query"], row["pin_id"]) for row in expected]
    assert len(task.judged) == len(expected) and task.catalogue is catalogue


def test_all_judgments_of_a_public_folder_are_taken_whatever_their_split(tmp_path: Path) -> None:
    task = tasks.from_public_form(tidy_folder.write(tmp_path), None, 0.01)
    assert task.judgments.column("judgment_id").to_pylist() == ["j1", "j2", "j3", "j4", "j5"]
    query, pin = task.pairs[0]
    assert (query, pin["title"], pin["caption"], pin["link_title"]) == (
        "red shoes",
        "Red shoes",
        "shoes, red shoes",
        "Shop",
    )
    assert task.pin_sources == {"shop", "web"}


def test_splits_may_be_missing_from_a_public_folder(tmp_path: Path) -> None:
    queries, judgements = tidy_folder.QUERIES.drop("split"), tidy_folder.JUDGEMENTS.drop("split")
    folder = tidy_folder.write(tmp_path, queries=queries, judgements=judgements, pool_items=None, impressions=None)
    assert len(tasks.from_public_form(folder, None, 0.01).pairs) == 5


def test_grades_of_another_scale_are_mapped(tmp_path: Path) -> None:
    task = tasks.from_public_form(tidy_folder.write(tmp_path), {"0": 2, "1": 3, "2": 4}, 0.01)
    assert task.judged.levels_N.tolist() == [4, 2, 4, 3, 2]


def test_unusable_rows_are_kept_apart_with_their_reason(tmp_path: Path) -> None:
    judgements = tidy_folder.changed(tidy_folder.JUDGEMENTS, "item_id", ["a", "b", "b", "c", "lost"])
    task = tasks.from_public_form(tidy_folder.write(tmp_path, judgements=judgements), None, 0.5)
    assert len(task.pairs) == 4 and task.quarantined["judgements"].num_rows == 1


def test_what_is_no_folder_of_judgments_says_so(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such folder"):
        tasks.from_public_form(str(tmp_path / "nowhere"), None, 0.01)
    with pytest.raises(JudgmentError, match=r"holds no judgements\.parquet.*add --tables"):
        tasks.from_public_form(str(tmp_path), None, 0.01)


def test_an_empty_split_or_a_pin_without_text_is_an_error(tmp_path: Path) -> None:
    found = relevance.read(tidy_folder.write(tmp_path))
    with pytest.raises(JudgmentError, match="no row has split 'final'"):
        tasks.from_tables(found.judgments, [], "final")
    with pytest.raises(JudgmentError, match=r"1 judged pins have no row in pin_text \(e\.g\. c\)"):
        tasks.from_tables(found.judgments, [], "test")


def test_a_cap_keeps_the_same_pairs_of_each_source_in_any_order() -> None:
    world = generate(SMALL)
    catalogue = pin_text(world.pins, None, NOTHING, EngagementSettings()).to_pylist()
    task = tasks.from_tables(world.judgments, catalogue, "train", 5)
    backwards = world.judgments.take(list(range(world.judgments.num_rows))[::-1])
    other = tasks.from_tables(backwards, catalogue, "train", 5)
    chosen = task.judgments.column("judgment_id").to_pylist()
    assert sorted(chosen) == sorted(other.judgments.column("judgment_id").to_pylist())
    assert len(chosen) == 5 * len(set(task.judgments.column("source").to_pylist()))
    assert len(task.pairs) == len(task.judged) == len(chosen)


def test_pairs_with_a_query_that_training_saw_are_counted_by_text(tmp_path: Path) -> None:
    task = tasks.from_public_form(tidy_folder.write(tmp_path), None, 0.01)
    assert tasks.num_with_query_among(task, ["RED  shoes", "old lamp", "unheard of"]) == 3


def test_several_annotators_of_a_pair_become_one_row_with_their_mean() -> None:
    row = {"query_id": "q", "query": "shoe", "source": "s", "split": "test"}
    rows = [
        row | {"judgment_id": str(number), "pin_id": pin, "level": level, "relevance": (level - 1) / 4}
        for number, (pin, level) in enumerate([("a", 5), ("b", 1), ("a", 4), ("a", 4)])
    ]
    joined = tasks.one_row_a_pair(pa.Table.from_pylist(rows, schema=JUDGMENTS.schema)).to_pylist()
    assert [(pair["pin_id"], pair["level"]) for pair in joined] == [("a", 4), ("b", 1)]
    assert joined[0]["relevance"] == pytest.approx(5 / 6)
