import json
from pathlib import Path

import numpy as np
import pytest

from pinrank.datasets import cxc
from pinrank.errors import TableError

CAPTIONS = [
    "A man with a red helmet on a small moped on a dirt road .",
    "Man riding a motor bike on a dirt road on the countryside .",
    "A man riding on the back of a motorcycle .",
    "A dirt path , with a young person on a bike !",
    "A man in a red shirt and a red hat is on a motorcycle on a hill side .",
    "A young girl inhales with the intent of blowing out a candle .",
    "A young girl is preparing to blow out her candle .",
    "A kid is to blow out the single candle in someone 's bowl .",
    "Girl blowing out the candle on an ice-cream",
    "A little girl is getting ready to blow out a candle .",
]
PICTURES = [391895] * 5 + [60623] * 5
IDS = [770337, 771687, 772707, 776154, 781998, 11, 12, 13, 14, 15]
SCORES = (
    "caption,image,agg_score,sampling_method\n"
    "COCO_val2014:sentid:776154,COCO_val2014_000000391895.jpg,5.0,c2i_original\n"
    "COCO_val2014:sentid:776154,COCO_val2014_000000060623.jpg,0.99,c2i_intrasim\n"
    "COCO_val2014:sentid:13,COCO_val2014_000000391895.jpg,2.2,c2i_intrasim\n"
    "COCO_val2014:sentid:770337,COCO_val2014_000000391895.jpg,5.0,c2i_original\n"
    "COCO_val2014:sentid:999,COCO_val2014_000000391895.jpg,1.0,c2i_intrasim\n"
)


def write(folder: Path, scores: str = SCORES, ids: list[int] = IDS) -> Path:
    texts = {
        cxc.SCORES: scores,
        cxc.CAPTIONS: "\n".join(CAPTIONS) + "\n",
        cxc.PICTURES: "".join(f"{picture}\n" for picture in PICTURES),
    }
    for locale in cxc.OTHER_LOCALES:
        lines = [
            {"sentences": ["Der Mann trägt eine Wollmütze."], "id": "1007129816", "img_path": "1007129816.jpg"},
            {"sentences": [f"{locale}: Motorrad"], "id": 391895, "img_path": "COCO_val2014_000000391895.jpg"},
            {"sentences": [""], "id": 60623, "img_path": "COCO_val2014_000000060623.jpg"},
        ]
        texts[cxc.OTHER_CAPTIONS.format(locale=locale)] = "".join(json.dumps(line) + "\n" for line in lines)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / cxc.CAPTION_IDS).parent.mkdir(parents=True, exist_ok=True)
    np.save(folder / cxc.CAPTION_IDS, np.array(ids, np.int64))
    return folder


def test_first_two_captions_are_a_pictures_text_and_the_others_queries(tmp_path: Path) -> None:
    found = cxc.read(write(tmp_path))
    assert found.items[0]["image_captions"] == [
        "A man with a red helmet on a small moped on a dirt road.",
        "Man riding a motor bike on a dirt road on the countryside.",
    ]
    assert [row["query"] for row in found.queries] == [
        "A dirt path, with a young person on a bike!",
        "A kid is to blow out the single candle in someone 's bowl.",
    ]
    assert found.left_out == {"of a caption that is its picture's text, or is unknown": 2}


def test_scores_become_levels_one_a_unit(tmp_path: Path) -> None:
    judgements = cxc.read(write(tmp_path)).judgements
    assert [row["level"] for row in judgements] == [5, 1, 3]
    assert judgements[2]["rel01"] == pytest.approx(0.44)
    assert [row["pair_type"] for row in judgements] == ["c2i_original", "c2i_intrasim", "c2i_intrasim"]


@pytest.mark.parametrize(("mean", "level"), [(0, 1), (0.99, 1), (1, 2), (3.99, 4), (4, 5), (5, 5)])
def test_levels_of_the_scale(mean: float, level: int) -> None:
    assert cxc.level(mean) == level


def test_query_shares_its_own_picture_with_the_other_captions_of_it(tmp_path: Path) -> None:
    assert [row["keys"] for row in cxc.read(write(tmp_path)).queries] == [["coco:391895"], ["coco:60623"]]


def test_pictures_described_in_other_languages_have_the_same_scores(tmp_path: Path) -> None:
    found = cxc.read_i18n(write(tmp_path))
    assert len(found.items) == len(cxc.OTHER_LOCALES)
    german = [row for row in found.judgements if str(row["item_id"]).endswith("@de")]
    assert [(row["query_id"], row["item_id"], row["level"]) for row in german] == [
        ("cxc:776154", "cxc:391895@de", 5),
        ("cxc:13", "cxc:391895@de", 3),
    ]
    assert {row["source"] for row in found.judgements} == {"cxc_i18n"}


def test_files_of_different_lengths_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="10 captions, 10 pictures and 9 ids"):
        cxc.read(write(tmp_path, ids=IDS[:9]))


def test_ids_in_another_order_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="captions belong to another picture than"):
        cxc.read(write(tmp_path, ids=IDS[5:] + IDS[:5]))


def test_score_of_something_else_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no score of a caption and a picture"):
        cxc.read(write(tmp_path, scores=SCORES.replace("COCO_val2014_000000060623.jpg", "COCO_train.jpg")))


def test_ids_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / cxc.CAPTION_IDS).write_bytes(b"no array")
    with pytest.raises(TableError, match="holds no whole numbers"):
        cxc.read(folder)


def test_line_that_is_no_caption_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / cxc.OTHER_CAPTIONS.format(locale="ja")).write_text('{"sentences": []}\n')
    with pytest.raises(TableError, match=r"ja/test\.jsonl: row 0 is no caption of a picture"):
        cxc.read_i18n(folder)
