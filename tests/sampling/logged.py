"""Impressions and judgments small enough to check by eye, and the job run on them."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pinrank.errors import TableError
from pinrank.tables import IMPRESSIONS, PAIR_SCORES, SAMPLED_PAIRS, read
from pipelines.sample_impressions import SampleImpressions, main


@dataclass(frozen=True)
class Sampled:
    """What the job wrote and said."""

    pairs: pa.Table
    details: dict[str, Any]
    quarantined: int


def impressions(
    rows: Sequence[tuple[str, str]], locale: str | None = "en", source: str | None = "s", **more: Any
) -> pa.Table:
    """A row a (query, pin), each an event of its own; `more` columns are one value, or one a row."""
    columns = {
        "impression_id": [f"{locale} {source} {more} {row}" for row in range(len(rows))],
        "query": [query for query, _ in rows],
        "pin_id": [pin for _, pin in rows],
        "query_locale": locale,
        "source": source,
        **more,
    }
    values = {name: columns.get(name) for name in IMPRESSIONS.schema.names}
    spread = {name: value if isinstance(value, list) else [value] * len(rows) for name, value in values.items()}
    return pa.table(spread, schema=IMPRESSIONS.schema)


def judgments(*rows: tuple[str, str, str]) -> pa.Table:
    """A row a (query, pin, split)."""
    return pa.table(
        {name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(("query", "pin_id", "split"))}
    )


def scores(*rows: tuple[str, str, float | None, float | None]) -> pa.Table:
    """A row a (query, pin, uncertainty, disagreement)."""
    names = PAIR_SCORES.schema.names
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], PAIR_SCORES.schema)


def sample(
    shown: pa.Table | Sequence[pa.Table], judged: pa.Table, scored: pa.Table | None = None, **settings: Any
) -> Sampled:
    """Run the job on impressions (one file each table). Strata are locale/source, and nothing is guaranteed, unless
    the settings say otherwise; nothing to sample is an empty table."""
    plain = {"strata": {"by": ["locale", "source"]}, "guarantees": {"fresh_share": 0.0, "trending_share": 0.0}}
    with tempfile.TemporaryDirectory() as folder:
        files = {"judgments/0": judged} | ({} if scored is None else {"scores/0": scored})
        for number, each in enumerate([shown] if isinstance(shown, pa.Table) else shown):
            files[f"impressions/{number}"] = each
        for name, table in files.items():
            kind = name.split("/")[0]
            pa.fs.LocalFileSystem().create_dir(f"{folder}/{kind}")
            pq.write_table(table, f"{folder}/{name}.parquet")
        if scored is not None:
            settings["scores"] = f"{folder}/scores"
        try:
            summary = main(SampleImpressions(tables=folder, **(plain | settings)))
        except TableError as error:
            if "no pair can be sampled" not in str(error):
                raise
            return Sampled(SAMPLED_PAIRS.schema.empty_table(), {}, 0)
        return Sampled(read(f"{folder}/sampled_pairs", SAMPLED_PAIRS), summary.details, summary.quarantined)
