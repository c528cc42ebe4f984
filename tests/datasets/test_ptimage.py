from pathlib import Path

import pytest

from pinrank.datasets import ptimage
from pinrank.errors import TableError

FILES = {
    ptimage.ARTICLES: (
        "id\turl\ttitle\tcontent\tdate\timages\n"
        "art001\thttps://www.presidencia.pt/a/\tComemorações do 1.º de Dezembro\tO Presidente “Portugal”\t2023-12-01"
        "\timg00001,img00002\n"
        "art002\thttps://www.presidencia.pt/b/\tOrdens\tAudiência\t2023-11-30\timg00013\n"
    ),
    ptimage.IMAGES: ("id\turl\nimg00001\thttps://x/1.jpg\nimg00002\thttps://x/2.jpg\nimg00013\thttps://x/13.jpg\n"),
    ptimage.QUERIES: "id\tquery\nq01\tEmoções de tristeza em rostos\nq02\tCascais\n",
    ptimage.QRELS: "q01 0 img00001 1\nq01 0 img00013 0\nq02 0 img00013 1\n",
}


def write(folder: Path, **replaced: str) -> Path:
    for name, text in (FILES | replaced).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_picture_has_the_text_of_its_article(tmp_path: Path) -> None:
    items = ptimage.read(write(tmp_path)).items
    assert [row["item_id"] for row in items] == ["ptimage:img00001", "ptimage:img00002", "ptimage:img00013"]
    assert items[1]["link_title"] == "Comemorações do 1.º de Dezembro"
    assert items[1]["link_description"] == "O Presidente “Portugal”"
    assert items[1]["image_url"] == "https://x/2.jpg"
    assert items[1]["orig_id"] == "img00002|art001|2023-12-01"


def test_binary_grades_are_the_ends_of_the_scale(tmp_path: Path) -> None:
    judgements = ptimage.read(write(tmp_path)).judgements
    assert [(row["query_id"], row["level"], row["rel01"]) for row in judgements] == [
        ("ptimage:q01", 5, 1.0),
        ("ptimage:q01", 1, 0.0),
        ("ptimage:q02", 5, 1.0),
    ]


def test_query_columns_are_taken_by_their_place(tmp_path: Path) -> None:
    renamed = FILES[ptimage.QUERIES].replace("id\tquery", "qid\ttext")
    assert ptimage.read(write(tmp_path, **{ptimage.QUERIES: renamed})).queries[1]["query"] == "Cascais"


@pytest.mark.parametrize("line", ["q01 0 img00001 2", "q01 img00001 1"])
def test_line_that_is_no_grade_is_an_error(tmp_path: Path, line: str) -> None:
    with pytest.raises(TableError, match="row 0 is no line of qrels"):
        ptimage.read(write(tmp_path, **{ptimage.QRELS: f"{line}\n"}))


def test_grade_of_an_unknown_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"q01\|img9 names a query or picture that is not there"):
        ptimage.read(write(tmp_path, **{ptimage.QRELS: "q01 0 img9 1\n"}))


def test_first_pair_of_the_tidy_folder_has_the_same_id(tmp_path: Path) -> None:
    qrels = "q01 0 img40494 0\n"
    articles = FILES[ptimage.ARTICLES].replace("img00013", "img40494")
    found = ptimage.read(write(tmp_path, **{ptimage.QRELS: qrels, ptimage.ARTICLES: articles}))
    assert found.judgements[0]["judgement_id"] == "ac380f469da427"
