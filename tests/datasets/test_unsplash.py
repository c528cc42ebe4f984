from pathlib import Path

import pytest

from pinrank.datasets import unsplash
from pinrank.errors import TableError
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, PINS, faults

PHOTOS = (
    "photo_id\tphoto_url\tphoto_image_url\tphoto_submitted_at\tphoto_featured\tphoto_description\tai_description\n"
    "XMyPniM9LF0\thttps://unsplash.com/photos/XMyPniM9LF0\thttps://images.unsplash.com/1\t2014-09-29 18:08:38.594364\tt"
    "\tWoman exploring a forest\twoman walking in the middle of forest\n"
    "rDLBArZUl1c\thttps://unsplash.com/photos/rDLBArZUl1c\thttps://images.unsplash.com/2\t2014-10-21 13:10:46\tt"
    "\t\tsucculent plants in clear glass terrarium\n"
)
COLLECTIONS = (
    "photo_id\tcollection_id\tcollection_title\tphoto_collected_at\n"
    "XMyPniM9LF0\t1\tForest\t2016-01-01\nXMyPniM9LF0\t2\tforest \t2016-01-02\nXMyPniM9LF0\t3\tGreen\t2016-01-03\n"
    "rDLBArZUl1c\t3\tGreen\t2016-01-03\n"
)
CONVERSIONS = (
    "converted_at\tconversion_type\tkeyword\tphoto_id\tanonymous_user_id\tconversion_country\n"
    "2019-02-26 07:27:33.301\tdownload\tForest  walk\tXMyPniM9LF0\tu-1\tUS\n"
    "2019-02-26 07:28:00\tdownload\tplants\trDLBArZUl1c\tu-2\tBR\n"
)


def write(folder: Path, conversions: str = CONVERSIONS, suffix: str = "tsv000") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("photos", PHOTOS), ("collections", COLLECTIONS), ("conversions", conversions)):
        (folder / f"{name}.{suffix}").write_text(text)
    return str(folder)


def test_photographs_are_pins(tmp_path: Path) -> None:
    pins = unsplash.read(write(tmp_path)).pins
    assert pins is not None and faults(pins, PINS) == []
    first, second = pins.to_pylist()
    assert first["description"] == "Woman exploring a forest"
    assert first["caption"] == "woman walking in the middle of forest"
    assert first["board_titles"] == ["Forest", "Green"]
    assert (second["description"], second["board_titles"]) == ("", ["Green"])


def test_downloads_are_saves_after_a_search(tmp_path: Path) -> None:
    log = unsplash.read(write(tmp_path))
    assert faults(log.engagement, ENGAGEMENT) == []
    rows = log.engagement.to_pylist()
    assert [(row["query"], row["pin_id"], row["action"]) for row in rows] == [
        ("Forest walk", "XMyPniM9LF0", "save"),
        ("plants", "rDLBArZUl1c", "save"),
    ]
    assert rows[0]["user_hash"] != rows[1]["user_hash"] != "u-2"


def test_downloads_are_impressions_without_a_position(tmp_path: Path) -> None:
    log = unsplash.read(write(tmp_path))
    assert faults(log.impressions, IMPRESSIONS) == []
    row = log.impressions.to_pylist()[0]
    assert (row["impression_id"], row["country"], row["position"], row["actions"]) == (
        "unsplash:0",
        "US",
        None,
        ["save"],
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2019-02-26 07:27:33\tdownload\t\tXMyPniM9LF0\tu\tUS\n", "'keyword' is null or empty"),
        ("long ago\tdownload\tx\tXMyPniM9LF0\tu\tUS\n", "'converted_at' is no time"),
        ("2019-02-26 07:27:33\tdownload\tx\tgone\tu\tUS\n", "names a photograph that photos lacks"),
    ],
)
def test_download_that_cannot_be_used_is_recorded(tmp_path: Path, line: str, reason: str) -> None:
    log = unsplash.read(write(tmp_path, CONVERSIONS + line))
    (row,) = log.broken["conversions"].record.to_pylist()
    assert row["row"] == 2 and reason in row["reason"]
    assert log.engagement.num_rows == 2


def test_releases_with_csv_in_their_names_and_several_parts_read_the_same(tmp_path: Path) -> None:
    expected = unsplash.read(write(tmp_path / "a"))
    folder = Path(write(tmp_path / "b", suffix="csv000"))
    head, first, second = CONVERSIONS.splitlines(keepends=True)
    (folder / "conversions.csv000").write_text(head + first)
    (folder / "conversions.csv001").write_text(head + second)
    found = unsplash.read(str(folder))
    assert found.engagement == expected.engagement
    assert found.impressions == expected.impressions


def test_missing_photos_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"holds no photos\.tsv000"):
        unsplash.read(str(tmp_path))
