"""From what people did to the pairs that the towers learn from.

Pins whose texts are the same are one pin to a tower, so a pair here is a query and a text: its weight adds up over
them, and they count together wherever a pin's frequency matters.

Letters: N pairs.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.engagement.evidence import BOARD, CLICK, LONG_CLICK, SAVE
from pinrank.errors import TableError
from pinrank.keys import hashes, mixed, repeated_hashes
from pinrank.search_embedding.settings import PairSettings
from pinrank.text import TextSettings, pin_text
from pinrank.unseen import Unseen, may_be_seen

ENGAGED = pa.schema([("query", pa.string()), ("pin_id", pa.string()), ("weight", pa.float32()), ("judged", pa.bool_())])
"""A normalised query and a pin that people engaged with after it; judged: it must not be learnt (pinrank.unseen)."""

PAIRS = pa.schema([("query", pa.string()), ("pin", pa.string()), ("weight", pa.float32()), ("held_out", pa.bool_())])
"""A normalised query and a pin's text."""


def engaged_pairs(evidence: pa.Table, forbidden: Unseen, settings: PairSettings) -> pa.Table:
    """EVIDENCE (merged, all of each pin's) → ENGAGED, in no order.

    A pair's weight adds up, over the people who engaged with the pin after the query, the weight of the strongest thing
    that each did. Pairs of fewer than `min_users` people, or of no weight, are left out.
    """
    searched = pc.and_(pc.not_equal(evidence["kind"], BOARD), pc.not_equal(evidence["word"], ""))
    rows = evidence.filter(searched)
    weights = settings.weights
    weight_of_kind = np.zeros(4, dtype=np.float32)
    weight_of_kind[[CLICK, LONG_CLICK, SAVE]] = weights.click, weights.long_click, weights.save
    rows = rows.append_column("weight", pa.array(weight_of_kind[rows["kind"].to_numpy()]))
    people = rows.filter(pc.greater(rows["weight"], 0)).group_by(["pin_id", "word", "user"])
    pairs = people.aggregate([("weight", "max")]).group_by(["pin_id", "word"])
    pairs = pairs.aggregate([("weight_max", "sum"), ("user", "count")])
    pairs = pairs.filter(pc.greater_equal(pairs["user_count"], settings.min_users))
    judged = pa.array(~may_be_seen(pairs["pin_id"], pairs["word"], forbidden))
    columns = [pairs["word"], pairs["pin_id"], pairs["weight_max_sum"].cast(pa.float32()), judged]
    return pa.table(columns, schema=ENGAGED)


def examples(engaged: pa.Table, texts: dict[str, str], settings: PairSettings, seed: int) -> pa.Table:
    """ENGAGED → PAIRS that may be learnt or measured, sorted; texts: of each pin_id, as `texts_of` gives them.

    Left out are judged pairs and those of pins without a text. All pairs of a query are held out or none.
    """
    known = pc.is_in(engaged["pin_id"], pa.array(list(texts), pa.string()))
    usable = engaged.filter(pc.and_(known, pc.invert(engaged["judged"])))
    read = [texts[pin_id] for pin_id in usable["pin_id"].to_pylist()]
    columns = {"query": usable["query"], "pin": pa.array(read, pa.string()), "weight": usable["weight"]}
    pairs = pa.table(columns).group_by(["query", "pin"]).aggregate([("weight", "sum")])
    weight = pc.min_element_wise(pairs["weight_sum"], settings.max_weight).cast(pa.float32())
    held_out = held_out_queries(pairs["query"], settings.held_out_share, seed)
    pairs = pa.table([pairs["query"], pairs["pin"], weight, held_out], schema=PAIRS)
    return _chosen(pairs, settings.max_pairs).sort_by([("query", "ascending"), ("pin", "ascending")])


def without_answers(text: TextSettings) -> TextSettings:
    """What a tower may read of a pin to learn engagement: not the words of the very queries before it."""
    return text.model_copy(update={"budgets": text.budgets.model_copy(update={"query_tokens": 0})})


def texts_of(pins: pa.Table, text: TextSettings) -> dict[str, str]:
    """What a tower reads of each pin (rows of PIN_TEXT) by pin_id; a pin that says nothing is left out."""
    read = ((row["pin_id"], pin_text(row, text)) for row in pins.to_pylist())
    return {pin_id: said for pin_id, said in read if said}


def candidates(pairs: pa.Table, texts: dict[str, str], settings: PairSettings, seed: int) -> pa.Table:
    """The texts (column `pin`, sorted) among which held-out queries must find theirs: these, and others by hash."""
    others = sorted(set(texts.values()))
    by_hash = np.argsort(hashes(others, seed), kind="stable")[: settings.num_candidates]
    wanted = set(measured_pairs(pairs, settings)["pin"].to_pylist())
    return pa.table({"pin": sorted(wanted | {others[place] for place in by_hash})})


def measured_pairs(pairs: pa.Table, settings: PairSettings) -> pa.Table:
    """The held-out PAIRS of at most `max_held_out_queries` queries, chosen by hash."""
    held_out = pairs.filter(pairs["held_out"])
    queries = held_out["query"].unique()
    kept = np.argsort(hashes(queries.to_pylist(), 0), kind="stable")[: settings.max_held_out_queries]
    return held_out.filter(pc.is_in(held_out["query"], queries.take(pa.array(kept))))


def held_out_queries(queries: pa.ChunkedArray, share: float, seed: int) -> pa.Array:
    """Which queries are held out: those whose hash falls into this share of all hashes."""
    of_query_N = mixed(repeated_hashes(queries), np.uint64(seed))
    return pa.array(of_query_N < np.uint64(int(share * 2**64)))


def refuse_too_few(pairs: pa.Table, num_workers: int) -> None:
    """Raise TableError when a worker would have no negative to learn from."""
    learnt = pairs.num_rows - (pc.sum(pairs["held_out"]).as_py() or 0)
    if learnt < 2 * num_workers:
        raise TableError(
            f"engagement: {learnt} pairs of a query and a pin to learn from, {2 * num_workers} are needed. Lower "
            "pairs.min_users, or give a log with searches."
        )


def _chosen(pairs: pa.Table, most: int | None) -> pa.Table:
    if most is None or pairs.num_rows <= most:
        return pairs
    keys_N = mixed(repeated_hashes(pairs["query"]), repeated_hashes(pairs["pin"]))
    return pairs.take(pa.array(np.argsort(keys_N, kind="stable")[:most]))
