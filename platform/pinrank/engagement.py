"""What people did with a pin, as words about it: titles of the boards they saved it to, tokens of the queries that
brought them to it, and whether its link is worth reading. Nothing is kept that fewer than `min_users` people did:
that keeps out spam, and whatever would point to one person.
"""

from collections.abc import Callable, Collection, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pinrank.sampling import rank_within
from pinrank.tables import PIN_TEXT
from pinrank.text import FIELDS, fingerprint, join_list, normalise_query, tidy

SAVE = "save"
CLICKS = ("click", "long_click")
ENGAGED = (SAVE, *CLICKS)
"""Actions by which a person says that a pin is what the query meant; an impression alone says nothing."""


class EngagementSettings(BaseModel):
    """What of an engagement log becomes pin text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_users: int = Field(3, ge=1, description="distinct people without whom a title, token or link is left out")
    top_boards: int = Field(8, ge=0, description="board titles a pin, those of most people first")
    top_tokens: int = Field(16, ge=0, description="query tokens a pin, those of most people first")
    min_dwell_s: float = Field(10.0, ge=0, description="a click counts as long from this stay on")


def board_titles(engagement: pa.Table, settings: EngagementSettings) -> dict[str, list[str]]:
    """pin_id → titles of boards to which people saved it, by number of people, then by title.

    Titles that differ only in case or white space are one; the spelling that sorts first stands for it.
    """
    saves = engagement.filter(pc.equal(engagement.column("action"), SAVE))
    spellings = _mapped(saves.column("board_title"), tidy)
    saved = pa.table(
        {
            "pin_id": saves.column("pin_id"),
            "user_hash": saves.column("user_hash"),
            "word": _mapped(spellings, normalise_query),
            "spelling": spellings,
        }
    )
    return _top_words(saved, settings.top_boards, settings.min_users)


def query_tokens(engagement: pa.Table, held_out: Collection[str], settings: EngagementSettings) -> dict[str, list[str]]:
    """pin_id → tokens of the queries after which people engaged with it, by number of people, then by token.

    held_out: normalised queries of the dev and test splits; what was done for them is not looked at, or the pin text
    would tell a model the queries on which it is judged.
    """
    engaged = engagement.filter(pc.is_in(engagement.column("action"), pa.array(ENGAGED)))
    queries = _mapped(engaged.column("query"), normalise_query)
    allowed = pc.invert(pc.is_in(queries, pa.array(sorted(held_out), pa.string())))
    engaged, queries = engaged.filter(allowed), queries.filter(allowed)
    tokens = _mapped(queries, _tokens, pa.list_(pa.string())).combine_chunks()
    rows = pc.list_parent_indices(tokens)
    words = pc.list_flatten(tokens)
    exploded = engaged.select(["pin_id", "user_hash"]).take(rows)
    return _top_words(
        exploded.append_column("word", words).append_column("spelling", words), settings.top_tokens, settings.min_users
    )


def long_clicked(engagement: pa.Table, settings: EngagementSettings) -> set[str]:
    """The pins whose link kept enough people for `min_dwell_s`; a `long_click` without a time counts as one."""
    dwell_s = engagement.column("dwell_s")
    stayed = pc.fill_null(pc.greater_equal(dwell_s, settings.min_dwell_s), False)
    untimed = pc.and_(pc.equal(engagement.column("action"), "long_click"), pc.is_null(dwell_s))
    clicked = pc.is_in(engagement.column("action"), pa.array(CLICKS))
    clicks = engagement.filter(pc.and_(clicked, pc.or_(stayed, untimed)))
    people = clicks.group_by("pin_id").aggregate([("user_hash", "count_distinct")])
    enough = pc.greater_equal(people.column("user_hash_count_distinct"), settings.min_users)
    return set(people.filter(enough).column("pin_id").to_pylist())


def pin_text(
    pins: pa.Table, engagement: pa.Table | None, held_out: Collection[str], settings: EngagementSettings
) -> pa.Table:
    """PINS (and ENGAGEMENT) → PIN_TEXT, in the order of the pins, every field tidied and never null.

    With a log, board titles and query tokens come from it alone, and link text stays only where people stayed on the
    link. Without one, the pins' own board titles and link text are used, and there are no query tokens.
    """
    fields = {name: _tidied(pins, name) for name in FIELDS if name not in ("board_titles", "query_tokens")}
    pin_ids = pins.column("pin_id").to_pylist()
    if engagement is None:
        fields["board_titles"] = [join_list(titles) for titles in pins.column("board_titles").to_pylist()]
        fields["query_tokens"] = [""] * len(pin_ids)
    else:
        titles, worth_reading = board_titles(engagement, settings), long_clicked(engagement, settings)
        tokens = query_tokens(engagement, held_out, settings)
        fields["board_titles"] = [join_list(titles.get(pin_id)) for pin_id in pin_ids]
        fields["query_tokens"] = [" ".join(tokens.get(pin_id, ())) for pin_id in pin_ids]
        for name in ("link_title", "link_description"):
            fields[name] = [
                text if pin_id in worth_reading else "" for pin_id, text in zip(pin_ids, fields[name], strict=True)
            ]
    columns = {name: pins.column(name) for name in ("pin_id", "source", "locale")} | {
        name: fields[name] for name in FIELDS
    }
    rows = zip(*(fields[name] for name in FIELDS), strict=True)
    fingerprints = [fingerprint(dict(zip(FIELDS, row, strict=True))) for row in rows]
    return pa.table({**columns, "fingerprint": fingerprints}, schema=PIN_TEXT.schema)


def _top_words(words: pa.Table, top_k: int, min_users: int) -> dict[str, list[str]]:
    """words: pin_id, user_hash, word, spelling. Words that are null or empty are passed over."""
    said = words.filter(pc.fill_null(pc.not_equal(words.column("word"), ""), False))
    counted = said.group_by(["pin_id", "word"]).aggregate([("user_hash", "count_distinct"), ("spelling", "min")])
    counted = counted.filter(pc.greater_equal(counted.column("user_hash_count_distinct"), min_users))
    order = [("pin_id", "ascending"), ("user_hash_count_distinct", "descending"), ("word", "ascending")]
    counted = counted.sort_by(order)
    codes = pc.index_in(counted.column("pin_id"), counted.column("pin_id").unique()).to_numpy()
    top = counted.filter(pa.array(rank_within(codes, np.arange(counted.num_rows, dtype=np.uint64)) < top_k))
    words_of: dict[str, list[str]] = {}
    for pin_id, word in zip(top.column("pin_id").to_pylist(), top.column("spelling_min").to_pylist(), strict=True):
        words_of.setdefault(pin_id, []).append(word)
    return words_of


def _mapped(
    column: pa.ChunkedArray, function: Callable[[str], object], to: pa.DataType | None = None
) -> pa.ChunkedArray:
    """A function of every value, called once a distinct value; null stays null."""
    distinct = column.unique()
    values = pa.array([None if value is None else function(value) for value in distinct.to_pylist()], to or pa.string())
    return pa.chunked_array([values]).take(pc.index_in(column, distinct))


def _tokens(query: str) -> list[str]:
    return [token for token in dict.fromkeys(query.split(" ")) if any(letter.isalnum() for letter in token)]


def _tidied(pins: pa.Table, name: str) -> list[str]:
    texts: Iterable[str | None] = pins.column(name).to_pylist()
    return [tidy(text) for text in texts]
