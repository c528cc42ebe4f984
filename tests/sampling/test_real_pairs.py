from pathlib import Path

import pyarrow.parquet as pq

from pinrank.datasets.relevance import read
from pinrank.text import normalise_query, pair_key
from tests.sampling.logged import sample


def test_no_real_pair_has_a_query_of_dev_or_test(relevance_dir: Path) -> None:
    imported = read(str(relevance_dir))
    pairs = sample(imported.impressions, imported.judgments, size=10**6).pairs
    assert pairs.num_rows > 100_000
    queries = pq.read_table(relevance_dir / "queries.parquet").to_pylist()
    held_out = {normalise_query(row["query"]) for row in queries if row["split"] != "train"}
    assert not held_out & {normalise_query(query) for query in set(pairs.column("query").to_pylist())}
    judged = zip(
        imported.judgments.column("query").to_pylist(), imported.judgments.column("pin_id").to_pylist(), strict=True
    )
    assert not {pair_key(query, pin) for query, pin in judged} & set(pairs.column("pair_key").to_pylist())
