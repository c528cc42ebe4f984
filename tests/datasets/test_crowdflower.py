from pathlib import Path

import pytest

from pinrank.datasets import crowdflower
from pinrank.datasets.relevance import Imported, check

TRAIN = (
    "id,query,product_title,product_description,median_relevance,relevance_variance\n"
    '1,bridal shower decorations,Accent Pillow with Heart Design,"Red satin, <b>soft</b>\n&amp; warm",1,0\n'
    "2,led christmas lights,Set of 10 Battery Operated LED Lights,Set of 10,4,0\n"
    "4,projector,ViewSonic Pro8200,,3,0.471\n"
    "5,Projector,ViewSonic Pro8200,,2,0.471\n"
)


def imported(folder: Path, train: str = TRAIN, share: float = 0.0) -> Imported:
    (folder / "train.csv").write_text(train)
    return check(crowdflower.read(str(folder)), level_map=crowdflower.LEVELS, max_quarantined_share=share)


def test_four_grades_leave_the_middle_level_empty(tmp_path: Path) -> None:
    judgments = imported(tmp_path).judgments
    assert judgments.column("level").to_pylist() == [1, 5, 4, 2]
    assert judgments.column("relevance").to_pylist() == pytest.approx([0, 1, 2 / 3, 1 / 3])
    assert 3 not in crowdflower.LEVELS.values()


def test_rows_with_the_same_texts_are_one_pin(tmp_path: Path) -> None:
    found = imported(tmp_path)
    assert found.pins.column("title").to_pylist() == [
        "Accent Pillow with Heart Design",
        "Set of 10 Battery Operated LED Lights",
        "ViewSonic Pro8200",
    ]
    assert found.judgments.column("pin_id").to_pylist()[2:] == [found.pins.column("pin_id").to_pylist()[2]] * 2


def test_description_of_several_lines_loses_its_markup(tmp_path: Path) -> None:
    assert imported(tmp_path).pins.column("description").to_pylist()[0] == "Red satin, soft & warm"


def test_spellings_of_a_query_are_in_one_split(tmp_path: Path) -> None:
    splits = imported(tmp_path).judgments.column("split").to_pylist()
    assert splits[2] == splits[3]


def test_grade_outside_the_scale_is_quarantined(tmp_path: Path) -> None:
    found = imported(tmp_path, TRAIN.replace(",4,0\n", ",5,0\n"), share=0.5)
    assert found.quarantined["judgements"].column("row").to_pylist() == [1]


def test_row_without_a_query_is_quarantined(tmp_path: Path) -> None:
    found = imported(tmp_path, TRAIN.replace("led christmas lights", "  "), share=0.5)
    assert found.quarantined["judgements"].column("row").to_pylist() == [1]
    assert found.judgments.num_rows == 3
