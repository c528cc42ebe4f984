"""What a shard holds and under which terms: a pair with all that its grade needs, joined from three tables.

A shard is read, tokenised, graded and committed as one unit (pinrank.shard_folder).
"""

from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pinrank.faults import Fault, fault
from pinrank.keys import column_hashes, repeated_hashes
from pinrank.labeling.bad_rows import ADDED
from pinrank.shard_folder import Terms
from pinrank.tables import SAMPLED_PAIRS, SOFT_LABELS
from pinrank.text import FIELDS, TextSettings, normalise_query, packed, pair_keys

Order = Literal["query", "pin"]
"""What the pairs that lie together have in common."""

PAIRS = pa.schema(
    [
        *(
            SAMPLED_PAIRS.schema.field(name)
            for name in ("pair_key", "query", "query_locale", "pin_id", "source", "weight")
        ),
        ("pin_text", pa.string()),
        ("fingerprint", pa.string()),
    ]
)
"""A pair with all that its grade needs: the sampled columns, the pin as PairTokenizer reads it, its fingerprint."""

KNOWN = pa.schema([SOFT_LABELS.schema.field(name) for name in ("logits", "num_tokens")])
"""What an earlier job found of a pair; null where it must be graded now."""

WORK = pa.schema([*PAIRS, *KNOWN])
"""A row of the work file."""

ORDER_HASH = f"{ADDED}order"
"""Column with the hash by which rows are ordered (uint64)."""

KEYED = WORK.append(pa.field(ORDER_HASH, pa.uint64()))
"""A row on its way into the work file."""

GRADED = pa.schema([*(SOFT_LABELS.schema.field(name) for name in ("pair_key", "pin_id", "fingerprint")), *KNOWN])
"""A row of an earlier job's labels."""


class Grading(Terms):
    """All that decides a grade."""

    KEY: ClassVar[bytes] = b"pinrank.grading"

    teacher: str = Field(description="version on the teacher's card")
    text: TextSettings
    engine: str
    dtype: str
    order: Order = Field("query", description="whose pairs lie together")
    rows_per_shard: int = Field(ge=1)

    def grades_as(self, other: "Grading") -> bool:
        """Whether a pair gets the same grade under both: how the pairs are cut and ordered changes none."""
        cutting = {"order": self.order, "rows_per_shard": self.rows_per_shard}
        return other.model_copy(update=cutting) == self


def rendered(pin_texts: pa.Table, pin_ids: pa.ChunkedArray, text: TextSettings) -> pa.Table:
    """Columns pin_id, pin_text, fingerprint of those rows of pin_texts (PIN_TEXT) whose id is among pin_ids."""
    used = pin_texts.filter(pc.is_in(pin_texts.column("pin_id"), pin_ids.combine_chunks()))
    rows = used.select(list(FIELDS)).to_pylist()
    texts = pa.array([packed(row, text) for row in rows], pa.string())
    return used.select(["pin_id", "fingerprint"]).append_column("pin_text", texts)


def ungradable(pairs: pa.Table, pins: pa.Table) -> list[Fault]:
    """The pairs that no teacher can grade: their pin is not among the rendered pins, or has nothing to read."""
    known = pc.is_in(pairs.column("pin_id"), pins.column("pin_id").combine_chunks())
    with_text = pins.filter(pc.not_equal(pins.column("pin_text"), ""))
    readable = pc.is_in(pairs.column("pin_id"), with_text.column("pin_id").combine_chunks())
    unread = pc.and_(known, pc.invert(readable))
    return [
        *fault("pin_id", "has no row in pin_text", "Run build_pin_text on these pins too.", pc.invert(known)),
        *fault("pin_id", "names a pin without text", "Give the pin a text, or a field that it has a budget.", unread),
    ]


def wrong_keys(pairs: pa.Table) -> list[Fault]:
    """The pairs (SAMPLED_PAIRS) whose key is not that of their query and pin; null ids are faults of their own."""
    queries, pin_ids = pairs.column("query"), pairs.column("pin_id")
    keys = pair_keys(pc.fill_null(queries, "").to_pylist(), pc.fill_null(pin_ids, "").to_pylist())
    known = pc.and_(pc.is_valid(queries), pc.is_valid(pin_ids))
    wrong = pc.and_(known, pc.not_equal(pairs.column("pair_key"), pa.array(keys, pa.string())))
    mend = "Run sample_impressions, or make the keys with pinrank.text.pair_key."
    return fault("pair_key", "is not the key of its query and pin", mend, wrong)


def joined(pairs: pa.Table, pins: pa.Table, graded: pa.Table) -> pa.Table:
    """Pairs (with_order_hash), their rendered pins and earlier grades (GRADED) as KEYED, in the order of the pairs.

    Every pin must be among the rendered ones (see `ungradable`). A grade is known where pair and fingerprint are those
    of an earlier one; of several, the first counts.
    """
    place = pc.index_in(pairs.column("pin_id"), pins.column("pin_id").combine_chunks())
    found = {name: pins.column(name).take(place) for name in ("pin_text", "fingerprint")}
    earlier = _graded_key(graded.column("pair_key"), graded.column("fingerprint")).combine_chunks()
    row = pc.index_in(_graded_key(pairs.column("pair_key"), found["fingerprint"]), earlier)
    found |= {name: graded.column(name).take(row) for name in KNOWN.names}
    return pa.table([found[name] if name in found else pairs.column(name) for name in KEYED.names], schema=KEYED)


def with_order_hash(pairs: pa.Table, order: Order) -> pa.Table:
    """The pairs with a hash by which they are ordered: the same for all spellings of a query, or for a pin."""
    if order == "pin":
        hashes_N = repeated_hashes(pairs.column("pin_id"))
    else:
        encoded = pairs.column("query").combine_chunks().dictionary_encode()
        normal = pa.array([normalise_query(query) for query in encoded.dictionary.to_pylist()], pa.string())
        hashes_N = column_hashes(normal)[encoded.indices.to_numpy()]
    return pairs.append_column(pa.field(ORDER_HASH, pa.uint64()), pa.array(hashes_N, pa.uint64()))


def ordered(rows: pa.Table, order: Order) -> pa.Table:
    """WORK of KEYED in the order in which it is graded, which depends on the rows alone: by hash, spelling, pair.

    Pairs of one query (or pin) lie together, so that an engine that caches prefixes meets them in one shard.
    """
    within = ("query", "pin_id") if order == "query" else ("pin_id", "query")
    keys = [(name, "ascending") for name in (ORDER_HASH, *within, "pair_key")]
    return rows.sort_by(keys).drop_columns(ORDER_HASH)


def _graded_key(keys: pa.ChunkedArray, fingerprints: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(keys, fingerprints, "")
