from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pinrank.datasets import commons
from pinrank.errors import TableError

DUMP = r"""-- MySQL dump 10.13
CREATE TABLE `ratedSearchResult` (
  `id` int(11) NOT NULL AUTO_INCREMENT
) ENGINE=InnoDB;
INSERT INTO `ratedSearchResult` VALUES (14,'Big Ben','Q41225','en','Paeonia \'Big Ben\' (1992-1380*B) Buds.jpg',-1),(15,'.smd',NULL,'en','SMD.png',0);
INSERT INTO `ratedSearchResult` VALUES (191,'Actualite de france',NULL,'fr','Carte - \"Des Canons !..\".jpg',1),(13985,'Candide_(Bernstein)','Q1033015','vi','Leonard Bernstein 1971.jpg',1),(13986,'Candide_(Bernstein)','Q1033015','vi','Old.jpg',NULL);
/*!40000 ALTER TABLE `ratedSearchResult` ENABLE KEYS */;
"""  # noqa: E501 - a dump has its lines
ARTICLES = (
    "langCode\tpageTitle\tresultFilePage\tsource\tconfidence_class\trating\n"
    "vi\tCandide_(Bernstein)\tFile:Leonard_Bernstein_1971.jpg\tms\tlow\t1\n"
)


def write(folder: Path, dump: str = DUMP) -> Path:
    for name, text in ((commons.RATINGS, dump), (commons.ARTICLES, ARTICLES)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_rows_of_the_dump_are_unescaped() -> None:
    assert list(commons.ratings(DUMP))[:3] == [
        ("14", "Big Ben", "Q41225", "en", "Paeonia 'Big Ben' (1992-1380*B) Buds.jpg", "-1"),
        ("15", ".smd", None, "en", "SMD.png", "0"),
        ("191", "Actualite de france", None, "fr", 'Carte - "Des Canons !..".jpg', "1"),
    ]


def test_ratings_become_both_ends_and_the_middle(tmp_path: Path) -> None:
    found = commons.read(write(tmp_path))
    assert [row["level"] for row in found.judgements] == [1, 3, 5, 5]
    assert [row["rel01"] for row in found.judgements] == [0.0, 0.5, 1.0, 1.0]
    assert found.left_out == {"without a rating": 1}


def test_article_titles_have_spaces_and_say_where_they_come_from(tmp_path: Path) -> None:
    queries = {row["query"]: row for row in commons.read(write(tmp_path)).queries}
    assert queries["Candide (Bernstein)"]["origin"] == "wikipedia_article_title"
    assert queries["Big Ben"]["origin"] == "commons_search"


def test_entity_is_what_queries_share(tmp_path: Path) -> None:
    assert [row["keys"] for row in commons.read(write(tmp_path)).queries] == [["wd:Q41225"], [], [], ["wd:Q1033015"]]


def test_file_is_a_pin_whose_title_is_its_name(tmp_path: Path) -> None:
    item = commons.read(write(tmp_path)).items[0]
    assert item["item_id"] == "commons:Paeonia_'Big_Ben'_(1992-1380*B)_Buds.jpg"
    assert item["title"] == "Paeonia 'Big Ben' (1992-1380*B) Buds"
    assert (
        item["link_url"] == "https://commons.wikimedia.org/wiki/File:Paeonia_%27Big_Ben%27_%281992-1380%2AB%29_Buds.jpg"
    )


def test_a_place_that_is_no_row_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no row of ratings at .*15,.*smd.*NULL"):
        commons.read(write(tmp_path, DUMP.replace("'SMD.png',0)", "'SMD.png')")))


def escaped(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"') + "'"


def test_the_published_ratings_give_the_same_rows_as_the_folder_in_the_tidy_form(
    tmp_path: Path, relevance_dir: Path
) -> None:
    """The folder keeps the owner's texts and ids: written as a dump again, they must come back as they are there."""
    theirs = {}
    for name, key in (("queries", "query_id"), ("items", "item_id"), ("judgements", "judgement_id")):
        table = pq.read_table(relevance_dir / f"{name}.parquet")
        rows = table.filter(pc.equal(table.column("source"), commons.SOURCE)).to_pylist()
        theirs[name] = {row[key]: row for row in rows}
    values, titles = [], ["langCode\tpageTitle"]
    for row in theirs["judgements"].values():
        query, item = theirs["queries"][row["query_id"]], theirs["items"][row["item_id"]]
        term, language, entity = query["orig_id"].rsplit("|", 2)
        texts = [escaped(term), escaped(entity) if entity else "NULL", escaped(language), escaped(item["orig_id"])]
        values.append(f"({row['orig_id']},{','.join(texts)},{row['label_original']})")
        if query["origin"] == "wikipedia_article_title":
            titles.append(f"{language}\t{term}")
    folder = write(tmp_path, f"INSERT INTO `ratedSearchResult` VALUES {','.join(values)};\n")
    (folder / commons.ARTICLES).write_text("\n".join(titles) + "\n")
    found = commons.read(folder)
    for name, key, rows in (
        ("queries", "query_id", found.queries),
        ("items", "item_id", found.items),
        ("judgements", "judgement_id", found.judgements),
    ):
        ours = {str(row[key]): row for row in rows}
        assert ours.keys() == theirs[name].keys()
        for number, row in ours.items():
            assert {column: theirs[name][number].get(column) for column in row if column != "keys"} == {
                column: value for column, value in row.items() if column != "keys"
            }
