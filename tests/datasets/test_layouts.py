from collections.abc import Callable
from pathlib import Path

import pytest

from pinrank.datasets import layouts
from pinrank.datasets.relevance import check
from pinrank.errors import TableError
from pinrank.levels import LEVELS
from pinrank.tables import JUDGMENTS, PINS, faults
from tests import tidy_folder
from tests.datasets import test_crowdflower, test_esci, test_home_depot, test_wands


def crowdflower(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text(test_crowdflower.TRAIN)


WRITERS: dict[str, Callable[[Path], object]] = {
    "esci": test_esci.write,
    "wands": test_wands.write,
    "home_depot": test_home_depot.write,
    "crowdflower": crowdflower,
}


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.name)
def test_layout_is_found_by_its_files(tmp_path: Path, layout: layouts.Layout) -> None:
    WRITERS[layout.name](tmp_path / "data")
    assert layouts.find(str(tmp_path / "data")) == (layout, str(tmp_path / "data"))


@pytest.mark.parametrize(("name", "under"), [("esci", "shopping_queries_dataset"), ("wands", "dataset")])
def test_layout_is_found_where_the_repository_has_its_files(tmp_path: Path, name: str, under: str) -> None:
    WRITERS[name](tmp_path / under)
    found = layouts.find(str(tmp_path))
    assert found is not None and (found[0].name, found[1]) == (name, str(tmp_path / under))


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_maps_to_levels_and_names_its_licence(layout: layouts.Layout) -> None:
    assert set(layout.levels.values()) <= set(LEVELS)
    assert {1, 5} <= set(layout.levels.values())
    assert layout.licence


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_gives_tables_without_a_fault(tmp_path: Path, layout: layouts.Layout) -> None:
    WRITERS[layout.name](tmp_path / "data")
    imported = check(layout.read(str(tmp_path / "data")), level_map=layout.levels, max_quarantined_share=0)
    assert faults(imported.judgments, JUDGMENTS) == []
    assert faults(imported.pins, PINS) == []
    assert imported.counts["pins_without_text"] == 0
    ids = [*imported.judgments.column("judgment_id").to_pylist(), *imported.pins.column("pin_id").to_pylist()]
    assert all(each.startswith(f"{layout.name}:") for each in ids)


def test_tidy_folder_is_no_owners_layout(tmp_path: Path) -> None:
    assert layouts.find(tidy_folder.write(tmp_path)) is None


def test_missing_folder_is_left_to_the_reader_of_the_tidy_form(tmp_path: Path) -> None:
    assert layouts.find(str(tmp_path / "nowhere")) is None


def test_unknown_files_are_listed_beside_what_each_layout_needs(tmp_path: Path) -> None:
    (tmp_path / "label.csv").write_text("")
    with pytest.raises(
        TableError, match=r"no known layout; it has label\.csv\. tidy needs queries\.parquet.*wands needs"
    ):
        layouts.find(str(tmp_path))


def test_named_layout_is_not_guessed_otherwise(tmp_path: Path) -> None:
    test_wands.write(tmp_path)
    with pytest.raises(
        TableError, match=r"does not have the layout esci; it has label\.csv, product\.csv, query\.csv\."
    ):
        layouts.find(str(tmp_path), "esci")


def test_train_csv_of_another_competition_is_no_crowdflower(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,text\n")
    with pytest.raises(TableError, match=r"crowdflower needs train\.csv with the columns id, query"):
        layouts.find(str(tmp_path))
