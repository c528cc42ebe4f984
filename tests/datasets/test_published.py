from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pinrank.datasets import chorus, commons, cxc, ptimage, published, relevance
from pinrank.datasets.query_groups import groups, text_key
from tests.datasets import test_chorus, test_commons, test_cxc, test_ptimage


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, pa.Table]:
    return published.join(
        [
            commons.read(test_commons.write(tmp_path)),
            cxc.read(test_cxc.write(tmp_path)),
            cxc.read_i18n(test_cxc.write(tmp_path)),
            ptimage.read(test_ptimage.write(tmp_path)),
            chorus.read(test_chorus.write(tmp_path)),
        ]
    )


def test_folder_passes_through_the_reader_of_the_tidy_form(tables: dict[str, pa.Table], tmp_path: Path) -> None:
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    imported = relevance.read(str(tmp_path), max_quarantined_share=0)
    assert imported.judgments.num_rows == tables["judgements"].num_rows == 4 + 3 + 14 + 3 + 6
    assert imported.impressions.num_rows == tables["impressions"].num_rows > 0
    assert imported.counts["pins_without_text"] == 0


def test_what_nobody_judged_is_in_the_pool(tables: dict[str, pa.Table]) -> None:
    assert tables["pool_items"].column("item_id").to_pylist() == ["ptimage:img00002"]


def test_candidates_are_pins_of_the_same_source_that_were_not_judged(tables: dict[str, pa.Table]) -> None:
    judged = set(zip(*(tables["judgements"].column(name).to_pylist() for name in ("query_id", "item_id")), strict=True))
    for row in tables["impressions"].to_pylist():
        assert (row["query_id"], row["item_id"]) not in judged
        assert row["query_id"].split(":")[0] == row["item_id"].split(":")[0] == row["source"]


def test_every_judgement_has_the_split_of_its_query(tables: dict[str, pa.Table]) -> None:
    split_of = dict(zip(*(tables["queries"].column(name).to_pylist() for name in ("query_id", "split")), strict=True))
    for row in tables["judgements"].to_pylist():
        assert row["split"] == split_of[row["query_id"]]


def test_queries_of_one_picture_are_one_group(tmp_path: Path) -> None:
    both = test_cxc.SCORES.replace("sentid:13,", "sentid:781998,")
    queries = published.join([cxc.read(test_cxc.write(tmp_path, scores=both))])["queries"]
    assert queries.column("group_id").to_pylist()[0] == queries.column("group_id").to_pylist()[1]
    assert queries.column("n_judged").to_pylist() == [2, 1]


def test_groups_of_the_published_queries_are_those_of_the_folder_in_the_tidy_form(relevance_dir: Path) -> None:
    queries = pq.read_table(relevance_dir / "queries.parquet").to_pylist()
    judgements = pq.read_table(relevance_dir / "judgements.parquet")
    original = judgements.filter(pc.equal(judgements.column("pair_type"), cxc.OWN_PICTURE))
    own = dict(zip(*(original.column(name).to_pylist() for name in ("query_id", "item_id")), strict=True))
    keys_of = []
    for row in queries:
        entity = row["orig_id"].rsplit("|", 1)[-1] if row["source"] == commons.SOURCE else ""
        picture = own.get(row["query_id"], "").partition("@")[0].replace("cxc:", "coco:")
        keys_of.append([text_key(row["query"]), *([f"wd:{entity}"] if entity else ()), *([picture] if picture else ())])
    pairs = set(zip(groups(keys_of), (row["group_id"] for row in queries), strict=True))
    assert len(pairs) == len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs})
