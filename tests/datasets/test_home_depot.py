from pathlib import Path

import pytest

from pinrank.datasets import home_depot
from pinrank.datasets.relevance import Imported, check

TRAIN = (
    '"id","product_uid","product_title","search_term","relevance"\n'
    '2,100001,"Simpson Strong-Tie 12-Gauge Angle","angle bracket",3\n'
    '3,100001,"Simpson Strong-Tie 12-Gauge Angle","l bracket",2.50\n'
    '9,100002,"BEHR Premium 1-gal. #SC-141 Tugboat Stain","deck over",1.00\n'
    '16,100005,"Delta Vero 1-Handle 45° Kit","Angle  Bracket",2.33\n'
    '17,100005,"Delta Vero 1-Handle 45° Kit","shower",1.67\n'
    '18,100006,"Whirlpool 1.9 cu. ft.","convection otr",2\n'
)
DESCRIPTIONS = (
    '"product_uid","product_description"\n100001,"Not only do angles, they help"\n100005,"Update your bathroom"\n'
)
ATTRIBUTES = (
    '"product_uid","name","value"\n'
    '100001,"Bullet01","Versatile connector"\n'
    '100001,"Material","Steel"\n'
    '100001,"Depth",\n'
)


def write(folder: Path, train: str = TRAIN, attributes: bool = True) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.csv").write_bytes(train.encode("latin-1"))
    (folder / "product_descriptions.csv").write_text(DESCRIPTIONS)
    if attributes:
        (folder / "attributes.csv").write_text(ATTRIBUTES)
    return str(folder)


def imported(folder: str, share: float = 0.0) -> Imported:
    return check(home_depot.read(folder), level_map=home_depot.LEVELS, max_quarantined_share=share)


def test_means_of_the_raters_become_levels_and_stay_as_relevance(tmp_path: Path) -> None:
    judgments = imported(write(tmp_path)).judgments
    assert judgments.column("level").to_pylist() == [5, 4, 1, 4, 2, 3]
    assert judgments.column("relevance").to_pylist() == pytest.approx([1.0, 0.75, 0.0, 0.665, 0.335, 0.5])


@pytest.mark.parametrize(("mean", "level"), [("1", 1), ("1.25", 2), ("1.75", 2), ("2", 3), ("2.25", 4), ("3", 5)])
def test_levels_of_the_scale(mean: str, level: int) -> None:
    assert home_depot.LEVELS[mean] == level


def test_spellings_of_a_query_are_one_query(tmp_path: Path) -> None:
    judgments = imported(write(tmp_path)).judgments.to_pylist()
    assert judgments[0]["query_id"] == judgments[3]["query_id"]
    assert judgments[3]["query"] == "angle bracket"


def test_product_is_one_pin_with_its_description_and_attributes(tmp_path: Path) -> None:
    pins = imported(write(tmp_path)).pins.to_pylist()
    assert [pin["pin_id"] for pin in pins] == [f"home_depot:{uid}" for uid in (100001, 100002, 100005, 100006)]
    assert pins[0]["description"] == "Not only do angles, they help"
    assert pins[0]["link_description"] == "Versatile connector, Material: Steel"
    assert pins[2]["title"] == "Delta Vero 1-Handle 45° Kit"


def test_attributes_may_be_absent(tmp_path: Path) -> None:
    assert imported(write(tmp_path, attributes=False)).pins.column("link_description").to_pylist() == [""] * 4


def test_a_mean_that_no_raters_can_have_is_quarantined(tmp_path: Path) -> None:
    found = imported(write(tmp_path, TRAIN.replace("2.33", "2.34")), share=0.5)
    assert found.quarantined["judgements"].column("row").to_pylist() == [3]
