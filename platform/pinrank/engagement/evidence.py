"""From log rows to evidence: what one person did with one pin, once. Evidence adds up like a set.

A row of evidence (PIN_ENGAGEMENT) is a pin, a kind, a word and a person. Its word is the normalised title of the board
that the pin was saved to, or the normalised query after which it was engaged with. Merging keeps the latest day and the
spelling that sorts first, so it depends on no order and merging twice changes nothing: yesterday's evidence and today's
log give what all logs give together, and a day that is read twice counts once.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.keys import Ints, column_hashes, dense, groups, packed
from pinrank.tables import PIN_ENGAGEMENT
from pinrank.text import normalise_query, tidy

BOARD, CLICK, LONG_CLICK, SAVE = 0, 1, 2, 3
"""Kinds of evidence: saved to a board of this title; clicked, stayed, saved after this query ('' without one)."""

EVIDENCE = PIN_ENGAGEMENT.schema


def evidence_of(rows: pa.Table, min_dwell_s: float) -> pa.Table:
    """Usable rows of ENGAGEMENT as EVIDENCE, not yet merged; actions that engage with nothing (a view) give none.

    A click is long from `min_dwell_s` on, a `long_click` without a time too; any other long_click is a click.
    """
    kinds = _kinds(rows, min_dwell_s)
    engaged = rows.select(["pin_id", "user_hash", "query", "board_title", "ts"]).append_column("kind", kinds)
    engaged = engaged.filter(pc.is_valid(kinds))
    queries = pc.fill_null(mapped(engaged.column("query"), normalise_query), "")
    searched = pc.or_(pc.not_equal(queries, ""), pc.equal(engaged.column("kind"), LONG_CLICK))
    spellings = mapped(engaged.column("board_title"), tidy)
    titles = mapped(spellings, normalise_query)
    saved = pc.and_(pc.equal(engaged.column("kind"), SAVE), pc.fill_null(pc.not_equal(titles, ""), False))
    users = pa.array(column_hashes(engaged.column("user_hash")))
    common = pa.table(
        {"pin_id": engaged.column("pin_id"), "user": users, "last_day": engaged.column("ts").cast(pa.date32())}
    )
    nothing = pa.nulls(engaged.num_rows, pa.string())
    after_query = common.append_column("kind", engaged.column("kind")).append_column("word", queries)
    after_query = after_query.append_column("spelling", nothing).filter(searched)
    to_board = common.append_column("kind", pa.repeat(pa.scalar(BOARD, pa.int8()), engaged.num_rows))
    to_board = to_board.append_column("word", titles).append_column("spelling", spellings).filter(saved)
    return pa.concat_tables([after_query.select(EVIDENCE.names), to_board.select(EVIDENCE.names)]).cast(EVIDENCE)


def merged(evidence: Sequence[pa.Table]) -> pa.Table:
    """EVIDENCE without repetitions: one row a (pin, kind, word, person), sorted by them."""
    rows = pa.concat_tables([EVIDENCE.empty_table(), *evidence]).combine_chunks()
    key_N = packed(
        _ranked(rows.column("pin_id"))[1],
        rows.column("kind").to_numpy().astype(np.int64),
        _ranked(rows.column("word"))[1],
        dense(rows.column("user").to_numpy()),
    )
    order_N, starts_G = groups(key_N)
    if not len(starts_G):
        return rows
    days_N = rows.column("last_day").cast(pa.int32()).to_numpy()[order_N]
    spellings, spelled_N = _ranked(rows.column("spelling"))
    first_G = np.minimum.reduceat(spelled_N[order_N], starts_G)
    kept = rows.take(pa.array(order_N[starts_G]))
    last_day = pa.array(np.maximum.reduceat(days_N, starts_G)).cast(pa.date32())
    kept = kept.set_column(EVIDENCE.get_field_index("last_day"), "last_day", last_day)
    spelling = spellings.take(pa.array(first_G, mask=first_G == len(spellings)))  # null where there is none
    return kept.set_column(EVIDENCE.get_field_index("spelling"), "spelling", spelling).cast(EVIDENCE)


def mapped(
    column: pa.ChunkedArray, function: Callable[[str], object], to: pa.DataType | None = None
) -> pa.ChunkedArray:
    """A function of every value, called once a distinct value; null stays null."""
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = encoded.dictionary_encode()
    values = pa.array([function(value) for value in encoded.dictionary.to_pylist()], to or pa.string())
    return pa.chunked_array([values.take(encoded.indices)])


def _kinds(rows: pa.Table, min_dwell_s: float) -> pa.ChunkedArray:
    action, dwell_s = rows.column("action"), rows.column("dwell_s")
    clicked = pc.is_in(action, pa.array(["click", "long_click"]))
    stayed = pc.fill_null(pc.greater_equal(dwell_s, min_dwell_s), False)
    untimed = pc.and_(pc.equal(action, "long_click"), pc.is_null(dwell_s))
    kinds = pc.if_else(pc.and_(clicked, pc.or_(stayed, untimed)), LONG_CLICK, pc.if_else(clicked, CLICK, None))
    return pc.if_else(pc.equal(action, "save"), SAVE, kinds).cast(pa.int8())


def _ranked(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The distinct strings, sorted, and which of them each row holds; null comes after all."""
    encoded = column.combine_chunks().dictionary_encode()
    order_D = pc.array_sort_indices(encoded.dictionary).to_numpy()
    ranks_D = np.empty(len(order_D), dtype=np.int64)
    ranks_D[order_D] = np.arange(len(order_D))
    which_N = pc.fill_null(encoded.indices, len(order_D)).to_numpy()
    return encoded.dictionary.take(pa.array(order_D)), np.r_[ranks_D, len(order_D)][which_N]
