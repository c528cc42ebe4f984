"""Which pairs are graded together: the pairs in a fixed order, cut into shards named by what they hold.

A shard is read, tokenised, graded and committed as one unit (pinrank.shard_folder).
"""

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pinrank import shard_folder
from pinrank.faults import Fault, fault
from pinrank.shard_folder import Shard, Terms
from pinrank.tables import SAMPLED_PAIRS
from pinrank.text import FIELDS, TextSettings, packed

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


class Grading(Terms):
    """All that decides a grade."""

    KEY: ClassVar[bytes] = b"pinrank.grading"

    teacher: str = Field(description="version on the teacher's card")
    text: TextSettings
    engine: str
    dtype: str
    rows_per_shard: int = Field(ge=1)


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


def ordered(pairs: pa.Table, pins: pa.Table) -> pa.Table:
    """Pairs (SAMPLED_PAIRS) joined with their rendered pins, in the order in which they are graded: PAIRS.

    The order is by query, then pin: pairs of one query lie together, so that an engine that caches prefixes meets
    them in one shard. Every pin must be among the rendered ones (see `ungradable`).
    """
    position = pc.index_in(pairs.column("pin_id"), pins.column("pin_id").combine_chunks())
    joined = pairs.select([name for name in PAIRS.names if name in SAMPLED_PAIRS.schema.names])
    for name in ("pin_text", "fingerprint"):
        joined = joined.append_column(name, pins.column(name).take(position))
    by_query = joined.sort_by([("query", "ascending"), ("pin_id", "ascending"), ("pair_key", "ascending")])
    return by_query.cast(PAIRS).combine_chunks()


def cut(pairs: pa.Table, grading: Grading) -> list[Shard]:
    """Cut ordered pairs (PAIRS) into shards of grading.rows_per_shard rows; the last one may be shorter."""
    return shard_folder.cut(pairs.select(PAIRS.names), grading.rows_per_shard, grading)
