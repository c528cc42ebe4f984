"""What is evaluated: judged pairs with their pins, from a run's tables or from a folder of public judgments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.datasets import relevance
from pinrank.engagement.pin_text import pin_text as build_pin_text
from pinrank.engagement.settings import EngagementSettings
from pinrank.errors import JudgmentError
from pinrank.evaluation.baselines import Pair, Pin
from pinrank.evaluation.judged import Judged, judged
from pinrank.faults import refuse_unknown_pins
from pinrank.parquet import exists
from pinrank.sampling.by_source import capped_by_source
from pinrank.text import normalise_query
from pinrank.unseen import NOTHING

PUBLIC_FILE = "judgements.parquet"
"""A folder that holds it is one of public judgments; any other is taken for a judgments table."""


@dataclass(frozen=True)
class Task:
    """Judged pairs: the judgments, and the same rows as (query, row of pin_text); the catalogue has all pins."""

    judgments: pa.Table
    pairs: list[Pair]
    catalogue: list[Pin]
    quarantined: Mapping[str, pa.Table] = field(default_factory=dict)  # file → its unusable rows, with reasons

    @cached_property
    def judged(self) -> Judged:
        """The human side, as columns."""
        return judged(self.judgments)

    @cached_property
    def pin_sources(self) -> set[str]:
        """The sources that the judged pins come from."""
        return {pin["source"] or "" for _, pin in self.pairs}


def is_public_form(folder: str) -> bool:
    """Whether a folder holds queries, items and judgements in the public form, rather than a judgments table."""
    return exists(f"{folder.rstrip('/')}/{PUBLIC_FILE}")


def from_tables(judgments: pa.Table, catalogue: list[Pin], split: str, max_per_source: int | None = None) -> Task:
    """The judgments of one split of a run, at most so many of each source, with that run's pins (rows of pin_text).

    Raises JudgmentError when the split is empty or a judged pin has no row in pin_text.
    """
    chosen = judgments.filter(pc.equal(judgments.column("split"), split))
    if not chosen.num_rows:
        found = ", ".join(sorted(set(judgments.column("split").to_pylist()))) or "no rows at all"
        raise JudgmentError(f"judgments: no row has split '{split}' (found: {found}). Keep some queries for {split}.")
    return _task(capped_by_source(chosen, max_per_source), catalogue)


def from_public_form(folder: str, level_map: Mapping[str, int] | None, max_quarantined_share: float) -> Task:
    """All judgments of a folder in the public form, whatever their split; its pins are the catalogue.

    Raises TableError (JudgmentError) when a file is missing, damaged or breaks a rule in too many rows.
    """
    if exists(folder) and not is_public_form(folder):
        raise JudgmentError(
            f"{folder}: holds no {PUBLIC_FILE}, so it is not in the public form. Point --judgments at a folder with "
            "queries, items and judgements .parquet; for a judgments table add --tables, whose pins it is about."
        )
    found = relevance.read(
        folder,
        level_map=level_map,
        split_of_all="test",
        with_impressions=False,
        max_quarantined_share=max_quarantined_share,
    )
    if not found.judgments.num_rows:
        raise JudgmentError(f"{folder}: holds no judgments that can be scored. Check that its ids match.")
    pin_text = build_pin_text(found.pins, None, NOTHING, EngagementSettings())
    return _task(found.judgments, pin_text.to_pylist(), found.quarantined)


def num_with_query_among(task: Task, queries: Sequence[str]) -> int:
    """How many pairs have a query whose text, whatever its spelling, is one of these."""
    known = {normalise_query(query) for query in queries}
    return sum(normalise_query(query) in known for query, _ in task.pairs)


def one_row_a_pair(judgments: pa.Table) -> pa.Table:
    """Several annotators of a pair as one row: the mean of their levels, rounded half up, and of their relevance.

    A ranking shows a pin once, however many people graded it.
    """
    key = ["source", "query_id", "pin_id"]
    rows = judgments.select([*key, "level", "relevance"]).append_column("row", pa.array(range(judgments.num_rows)))
    pairs = rows.group_by(key).aggregate([("row", "min"), ("level", "mean"), ("relevance", "mean")])
    if pairs.num_rows == judgments.num_rows:
        return judgments
    pairs = pairs.sort_by("row_min")
    joined = judgments.take(pairs["row_min"])
    means = {
        "level": pc.floor(pc.add(pairs["level_mean"], 0.5)).cast(pa.int8()),
        "relevance": pairs["relevance_mean"].cast(pa.float32()),
    }
    for name, column in means.items():
        joined = joined.set_column(joined.schema.get_field_index(name), name, column)
    return joined


def _task(judgments: pa.Table, catalogue: list[Pin], quarantined: Mapping[str, pa.Table] | None = None) -> Task:
    judgments = one_row_a_pair(judgments)
    pins = {pin["pin_id"]: pin for pin in catalogue}
    pin_ids = judgments.column("pin_id").to_pylist()
    refuse_unknown_pins(set(pin_ids) - pins.keys(), "judgments", "judged pins", JudgmentError)
    queries = judgments.column("query").to_pylist()
    pairs = [(query, pins[pin_id]) for query, pin_id in zip(queries, pin_ids, strict=True)]
    return Task(judgments, pairs, catalogue, quarantined or {})
