from pathlib import Path

import pytest

from pinrank.datasets import wands
from pinrank.datasets.relevance import Imported, check
from pinrank.errors import TableError

LABELS = "id\tquery_id\tproduct_id\tlabel\n0\t0\t25434\tExact\n1\t0\t12088\tIrrelevant\n2\t208\t42931\tPartial\n"
QUERIES = 'query_id\tquery\tquery_class\n0\tsalon chair\tMassage Chairs\n208\t"fawkes 36"" blue vanity"\tVanities\n'
PRODUCTS = (
    "product_id\tproduct_name\tproduct_class\tcategory hierarchy\tproduct_description\tproduct_features"
    "\trating_count\taverage_rating\treview_count\n"
    "25434\tbarber chair\tMassage Chairs\tFurniture / Office / Chairs\ta chair\tcolor : black|seats:1\t4.0\t4.5\t4.0\n"
    "12088\tsolid wood bed\tBeds\t\t\t\t\t\t\n"
    "42931\tvanity 36 ''\tVanities\tHome / Bath\tblue\tcolor:blue\t1\t5\t1\n"
)


def write(folder: Path, labels: str = LABELS) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(wands.FILES, (labels, QUERIES, PRODUCTS), strict=True):
        (folder / name).write_text(text)
    return str(folder)


def imported(folder: str, share: float = 0.0) -> Imported:
    return check(wands.read(folder), level_map=wands.LEVELS, max_quarantined_share=share)


def test_labels_become_both_ends_and_the_middle(tmp_path: Path) -> None:
    judgments = imported(write(tmp_path)).judgments
    assert judgments.column("level").to_pylist() == [5, 1, 3]
    assert judgments.column("pin_id").to_pylist() == ["wands:25434", "wands:12088", "wands:42931"]


def test_quoted_query_is_read_without_its_quotes(tmp_path: Path) -> None:
    assert imported(write(tmp_path)).judgments.column("query").to_pylist()[2] == 'fawkes 36" blue vanity'


def test_breadcrumb_and_features_are_the_text_of_the_product_page(tmp_path: Path) -> None:
    pins = imported(write(tmp_path)).pins.to_pylist()
    assert pins[0]["link_title"] == "Furniture / Office / Chairs"
    assert pins[0]["link_description"] == "color : black, seats:1"
    assert (pins[1]["title"], pins[1]["description"]) == ("solid wood bed", "")
    assert pins[1]["link_title"] == "Beds"


def test_line_that_is_no_row_is_quarantined_and_counted(tmp_path: Path) -> None:
    found = imported(write(tmp_path, LABELS + "3\t0\n"), share=0.5)
    assert found.judgments.num_rows == 3
    (row,) = found.quarantined["label.csv"].to_pylist()
    assert (row["row"], row["reason"]) == (3, "has 2 cells where the header has 4")
    assert found.rows_in == 3 + 2 + 3 + 1


def test_too_many_lines_that_are_no_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"label\.csv: 1 of 4 lines are no rows.*the first is row 3"):
        imported(write(tmp_path, LABELS + "3\t0\n"))


def test_comma_separated_copy_is_refused_by_its_columns(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"label\.csv: lacks column 'id', 'query_id'"):
        wands.read(write(tmp_path, LABELS.replace("\t", ",")))
