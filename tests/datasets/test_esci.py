from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank.datasets import esci
from pinrank.datasets.relevance import Imported, check
from pinrank.errors import TableError
from pinrank.tables import JUDGMENTS, PINS, faults

EXAMPLES = pa.table(
    {
        "example_id": [0, 1, 2, 3, 4],
        "query": ["revent 80 cfm", "revent 80 cfm", "bolso", "Bolso ", "revent 80 cfm"],
        "query_id": [10, 10, 20, 30, 10],
        "product_id": ["B000MOO21W", "B07X3Y6B1V", "B01", "B01", "B02"],
        "product_locale": ["us", "us", "es", "jp", "us"],
        "esci_label": ["I", "E", "S", "C", "E"],
        "small_version": [0, 0, 1, 1, 0],
        "large_version": [1, 1, 1, 1, 1],
        "split": ["train", "train", "train", "test", "train"],
    }
)
PRODUCTS = pa.table(
    {
        "product_id": ["B000MOO21W", "B07X3Y6B1V", "B01", "B01", "B02"],
        "product_title": ["Panasonic FV-20VQ3", "Homewerks 7141-80", "Bolso rojo", "バッグ", "Fan"],
        "product_description": [None, "<p>A quiet <b>fan</b></p>", "", None, None],
        "product_bullet_point": ["WhisperCeiling fan", "OUTSTANDING\nEASY", None, None, None],
        "product_brand": ["Panasonic", "Homewerks", None, None, None],
        "product_color": ["White", "80 CFM", None, None, None],
        "product_locale": ["us", "us", "es", "jp", "us"],
    }
)


def write(folder: Path, examples: pa.Table = EXAMPLES) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(examples, folder / esci.FILES[0])
    pq.write_table(PRODUCTS, folder / esci.FILES[1])
    return str(folder)


def imported(folder: str, share: float = 0.0) -> Imported:
    return check(esci.read(folder), level_map=esci.LEVELS, max_quarantined_share=share)


def test_labels_become_levels(tmp_path: Path) -> None:
    judgments = imported(write(tmp_path)).judgments
    assert judgments.column("level").to_pylist() == [1, 5, 3, 2, 5]
    assert judgments.column("judgment_id").to_pylist() == ["esci:0", "esci:1", "esci:2", "esci:3", "esci:4"]
    assert judgments.column("query_locale").to_pylist() == ["en", "en", "es", "ja", "en"]
    assert faults(judgments, JUDGMENTS) == []


def test_a_product_is_known_by_its_locale_and_id(tmp_path: Path) -> None:
    pins = imported(write(tmp_path)).pins
    assert pins.column("pin_id").to_pylist()[2:4] == ["esci:es:B01", "esci:jp:B01"]
    assert faults(pins, PINS) == []


def test_texts_are_plain_and_keep_their_fields(tmp_path: Path) -> None:
    (pin,) = imported(write(tmp_path)).pins.slice(1, 1).to_pylist()
    assert pin["title"] == "Homewerks 7141-80"
    assert pin["description"] == "A quiet fan"
    assert pin["link_title"] == "Homewerks 80 CFM"
    assert pin["link_description"] == "OUTSTANDING EASY"


def test_a_text_that_the_owner_tests_on_is_test_in_every_locale(tmp_path: Path) -> None:
    judgments = imported(write(tmp_path)).judgments
    split_of = dict(zip(judgments.column("query_id").to_pylist(), judgments.column("split").to_pylist(), strict=True))
    assert split_of["esci:20"] == split_of["esci:30"] == "test"
    assert split_of["esci:10"] in ("train", "dev")


def test_unknown_label_is_quarantined(tmp_path: Path) -> None:
    labels = pa.array(["I", "E", "X", "C", "E"])
    found = imported(write(tmp_path, EXAMPLES.set_column(5, "esci_label", labels)), share=0.5)
    (row,) = found.quarantined["judgements"].to_pylist()
    assert (row["row"], row["file"]) == (2, str(tmp_path / esci.FILES[0]))
    assert "holds a grade that the level map" in row["reason"]


def test_judgment_of_an_unknown_product_is_quarantined(tmp_path: Path) -> None:
    products = pa.array(["B000MOO21W", "gone", "B01", "B01", "B02"])
    found = imported(write(tmp_path, EXAMPLES.set_column(3, "product_id", products)), share=0.5)
    assert esci.FILES[1] in found.quarantined["judgements"].column("reason").to_pylist()[0]


def test_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"examples\.parquet: .*lacks column 'esci_label'"):
        esci.read(write(tmp_path, EXAMPLES.drop_columns(["esci_label"])))
