"""Crisscrossed Captions: how well a caption fits a picture, a mean of five raters from 0 to 5 (Parekh et al. 2021).

    data/sits_test.csv                       google-research-datasets/Crisscrossed-Captions: caption, image, agg_score,
                                             sampling_method; ids only
    data/coco/testall_caps.txt, _ids.txt     CrossmodalGroup/LAPS: the captions of COCO's 5,000 test pictures, a line
                                             each and five a picture, and beside them the pictures
    datasets/annotations/coco_test_ids.npy   naver-ai/pcme: the ids of these captions, in the same order
    datasets/xFlickrCO/annotations/*/test.jsonl   e-bug/iglue: one caption a picture in seven other languages

A picture's first two captions are its text; the other three are queries, which no picture's text repeats as its own.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pinrank.datasets.delimited import read_delimited
from pinrank.datasets.published import Published, Row, judgement_id
from pinrank.errors import TableError

SOURCE = "cxc"
SOURCE_I18N = "cxc_i18n"
SCORES = "data/sits_test.csv"
CAPTIONS, PICTURES = "data/coco/testall_caps.txt", "data/coco/testall_ids.txt"
CAPTION_IDS = "datasets/annotations/coco_test_ids.npy"
OTHER_LOCALES = ("de", "es", "id", "ja", "ru", "tr", "zh")
OTHER_CAPTIONS = "datasets/xFlickrCO/annotations/{locale}/test.jsonl"
SCALE = "0..5, mean of 5 raters"
LOCALE = "en"
OWN_PICTURE = "c2i_original"
CAPTIONS_OF_AN_ITEM = 2

_SPACED_MARK = re.compile(r" +([.,!?])")
_FILE = "COCO_val2014_{:012d}.jpg"


@dataclass(frozen=True)
class Caption:
    """A caption's picture, its place among that picture's captions, and its text."""

    picture: int
    place: int
    text: str


@dataclass(frozen=True)
class Score:
    """A row of the scores."""

    caption: str
    picture: int
    mean: str
    pair_type: str


def level(mean: float) -> int:
    """A mean of 0..5 as a level, one a unit of the scale: [0, 1) is L1, [4, 5] is L5."""
    return min(5, int(mean) + 1)


def read(folder: Path) -> Published:
    """Captions as queries, pictures as items, scores as judgements."""
    captions, scores = read_captions(folder), list(_scores(folder / SCORES))
    _refuse_shifted(captions, scores)
    texts: dict[int, list[str]] = {}
    for caption in captions.values():
        texts.setdefault(caption.picture, []).append(caption.text)
    asked = [score for score in scores if _is_query(captions.get(score.caption)) and score.picture in texts]
    queries = {score.caption: _query(score.caption, captions[score.caption]) for score in asked}
    items = [_item(picture, SOURCE, LOCALE, lines[:CAPTIONS_OF_AN_ITEM]) for picture, lines in texts.items()]
    judgements = [_judgement(score, SOURCE, f"{SOURCE}:{score.picture}") for score in asked]
    left_out = {"of a caption that is its picture's text, or is unknown": len(scores) - len(asked)}
    return Published(list(queries.values()), items, judgements, left_out)


def read_i18n(folder: Path) -> Published:
    """The same scores, with the pictures described in other languages: the query's grade is that of the picture."""
    captions = read_captions(folder)
    scores = [each for each in _scores(folder / SCORES) if _is_query(captions.get(each.caption))]
    items, judgements = [], []
    for locale in OTHER_LOCALES:
        described = dict(_other_captions(folder / OTHER_CAPTIONS.format(locale=locale)))
        judged = [score for score in scores if score.picture in described]
        pictures = dict.fromkeys(score.picture for score in judged)
        items += [_item(picture, SOURCE_I18N, locale, described[picture], f"@{locale}") for picture in pictures]
        judgements += [_judgement(each, SOURCE_I18N, f"{SOURCE}:{each.picture}@{locale}") for each in judged]
    return Published([], items, judgements)


def read_captions(folder: Path) -> dict[str, Caption]:
    """The captions of the test pictures by their id, in the owner's order.

    Raises TableError when a file holds something else, or they do not have a line for each other's.
    """
    lines = (folder / CAPTIONS).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    try:
        pictures = [int(line) for line in (folder / PICTURES).read_text(encoding="utf-8").split()]
        ids = [str(int(each)) for each in np.load(folder / CAPTION_IDS, allow_pickle=False).ravel()]
    except (ValueError, TypeError, EOFError) as cause:
        raise TableError(f"{folder}: {PICTURES} or {CAPTION_IDS} holds no whole numbers ({cause}).") from cause
    if not len(lines) == len(pictures) == len(ids):
        raise TableError(
            f"{folder}: {len(lines)} captions, {len(pictures)} pictures and {len(ids)} ids of captions do not belong "
            "together. Fetch them again."
        )
    seen: dict[int, int] = {}
    captions = {}
    for number, picture, line in zip(ids, pictures, lines, strict=True):
        place = seen[picture] = seen.get(picture, -1) + 1
        captions[number] = Caption(picture, place, _SPACED_MARK.sub(r"\1", line).strip())
    return captions


def _refuse_shifted(captions: dict[str, Caption], scores: Sequence[Score]) -> None:
    """The scores say which caption belongs to which picture; the three files must say the same."""
    own = [score for score in scores if score.pair_type == OWN_PICTURE and score.caption in captions]
    wrong = [score for score in own if captions[score.caption].picture != score.picture]
    if len(wrong) > 0.01 * len(own):
        raise TableError(
            f"{CAPTION_IDS}: {len(wrong)} of {len(own)} captions belong to another picture than {SCORES} says, such as "
            f"{wrong[0].caption}: the files are not in the same order."
        )


def _scores(path: Path) -> Iterator[Score]:
    columns = ("caption", "image", "agg_score", "sampling_method")
    for row in read_delimited(str(path), columns).rows.to_pylist():
        caption = (row["caption"] or "").rsplit(":", 1)[-1]
        picture = re.fullmatch(r"COCO_val2014_(\d+)\.jpg", row["image"] or "")
        if not caption.isdigit() or picture is None or row["agg_score"] is None:
            raise TableError(f"{path}: no score of a caption and a picture: {row}. Download it again.")
        yield Score(caption, int(picture[1]), row["agg_score"], row["sampling_method"] or "")


def _other_captions(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n")):
        try:
            row = json.loads(line)
            picture = re.fullmatch(r"COCO_val2014_(\d+)\.jpg", row["img_path"])
            texts = [text for text in row["sentences"] if text.strip()]
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise TableError(f"{path}: row {number} is no caption of a picture: {line[:80]!r}.") from cause
        if picture is not None and texts:
            yield int(picture[1]), texts


def _is_query(caption: Caption | None) -> bool:
    return caption is not None and caption.place >= CAPTIONS_OF_AN_ITEM


def _query(number: str, caption: Caption) -> Row:
    return {
        "query_id": f"{SOURCE}:{number}",
        "source": SOURCE,
        "query": caption.text,
        "locale": LOCALE,
        "origin": "coco_caption",
        "orig_id": number,
        "keys": [f"coco:{caption.picture}"],
    }


def _item(picture: int, source: str, locale: str, captions: list[str], suffix: str = "") -> Row:
    return {
        "item_id": f"{SOURCE}:{picture}{suffix}",
        "source": source,
        "locale": locale,
        "image_captions": captions,
        "image_url": f"http://images.cocodataset.org/val2014/{_FILE.format(picture)}",
        "orig_id": _FILE.format(picture),
    }


def _judgement(score: Score, source: str, item_id: str) -> Row:
    query_id = f"{SOURCE}:{score.caption}"
    return {
        "judgement_id": judgement_id(query_id, item_id),
        "source": source,
        "query_id": query_id,
        "item_id": item_id,
        "label_original": score.mean,
        "label_scale": SCALE,
        "level": level(float(score.mean)),
        "rel01": float(score.mean) / 5,
        "n_raters": 5,
        "pair_type": score.pair_type,
        "orig_id": f"{score.caption}|{score.picture}",
    }
