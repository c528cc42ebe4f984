from pathlib import Path

import pytest

from pinrank.datasets import chorus
from pinrank.errors import TableError

RATINGS = (
    "query,docid,name,description,agent_1_rating,agent_2_rating,agent_3_rating,final_rating\n"
    "bluetooth speaker,1993197,Portable Bluetooth Speaker MBS-100,Portable Bluetooth Speaker MBS-100,2,3,3,3\n"
    'bluetooth speaker,78503000,Roller Coaster,"Roller Coaster, Bluetooth, 10 W",3,3,3,3\n'
    "surround sound speakers,356862,MCD510  DVD Micro Theater,,0,2,2,0\n"
    "surround sound speakers,478578,SPA2600/00,SPA2600 Speaker 5.1,2,2,3,3\n"
    "laptop,1751314,Bag,,0,1,1,1\n"
    "laptop,1229111,,,0,0,0,0\n"
    "laptop,1751315,Case,,0,0,0,0\n"
)


def write(folder: Path, ratings: str = RATINGS) -> Path:
    (folder / chorus.RATINGS).parent.mkdir(parents=True, exist_ok=True)
    (folder / chorus.RATINGS).write_text(ratings)
    return folder


def test_mean_of_three_raters_becomes_a_level(tmp_path: Path) -> None:
    judgements = chorus.read(write(tmp_path)).judgements
    assert [row["level"] for row in judgements] == [5, 5, 3, 4, 2, 1]
    assert [row["label_original"] for row in judgements][:3] == ["2/3/3", "3/3/3", "0/2/2"]
    assert judgements[0]["rel01"] == pytest.approx(8 / 9)


def test_product_without_a_name_is_left_out_and_counted(tmp_path: Path) -> None:
    found = chorus.read(write(tmp_path))
    assert found.left_out == {"of a product without a name": 1}
    assert "chorus:1229111" not in {row["item_id"] for row in found.items}


def test_description_that_repeats_the_name_is_empty(tmp_path: Path) -> None:
    items = chorus.read(write(tmp_path)).items
    assert [row["description"] for row in items[:2]] == ["", "Roller Coaster, Bluetooth, 10 W"]
    assert items[2]["title"] == "MCD510 DVD Micro Theater"


def test_ids_are_those_of_the_tidy_folder(tmp_path: Path) -> None:
    found = chorus.read(write(tmp_path))
    assert found.queries[1]["query_id"] == "chorus:2facaf74dd"
    assert found.judgements[3]["judgement_id"] == "cd66ac07c222be"


def test_grade_outside_the_scale_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"row 0 is no rating 0\.\.3 by three raters"):
        chorus.read(write(tmp_path, RATINGS.replace("2,3,3,3", "2,3,4,3")))
