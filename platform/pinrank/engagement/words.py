"""From evidence to words: titles of the boards that a pin was saved to, tokens of the queries that brought people to
it, and whether its link is worth reading. Nothing is kept that fewer than `min_users` people did: that keeps out spam,
and whatever would point to one person.

Letters: N rows of evidence, T a row of evidence for each token of its query, W a (pin, word).
"""

import datetime
import unicodedata
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.engagement.evidence import BOARD, LONG_CLICK
from pinrank.engagement.settings import EngagementSettings
from pinrank.keys import Ints, codes, dense, distinct, packed, rank_within, starts
from pinrank.text import LIST_SEPARATOR
from pinrank.unseen import Unseen, may_be_seen

WORDS = pa.schema([("pin_id", pa.string()), ("text", pa.string())])
"""A pin's words as one text; a pin without any has no row."""


@dataclass(frozen=True)
class _Counted:
    """Words with what they are ranked by: code of the pin, the word, its weight."""

    pin_W: Ints
    word: pa.Array
    weight_W: Ints


def board_titles(evidence: pa.Table, settings: EngagementSettings) -> pa.Table:
    """EVIDENCE → WORDS: titles by number of people, then by title, as a comma-separated list.

    Titles that differ only in case, white space or unseen marks are one; the spelling that sorts first stands for it.
    """
    saves = evidence.filter(pc.equal(evidence.column("kind"), BOARD))
    pin_N, word_N = codes(saves.column("pin_id")), codes(saves.column("word"))
    key_N = packed(pin_N, word_N, dense(saves.column("user").to_numpy()))
    one_M = np.unique(key_N, return_index=True)[1]  # evidence that is not merged yet holds repetitions
    title_M = packed(pin_N, word_N)[one_M]
    _, first_W, people_W = np.unique(title_M, return_index=True, return_counts=True)
    spelled = pa.table({"title": packed(pin_N, word_N), "spelling": saves.column("spelling")})
    spelling = spelled.group_by("title").aggregate([("spelling", "min")]).sort_by("title").column("spelling_min")
    enough_W = np.flatnonzero(people_W >= settings.min_users)
    rows_W = one_M[first_W][enough_W]
    words = saves.column("word").take(pa.array(rows_W))
    counted = _Counted(pin_N[rows_W], words, people_W[enough_W])
    shown = spelling.take(pa.array(enough_W))
    return _texts(saves.column("pin_id"), counted, shown, settings.top_boards, LIST_SEPARATOR)


def query_tokens(
    evidence: pa.Table, forbidden: Unseen, last_day: datetime.date, settings: EngagementSettings
) -> pa.Table:
    """EVIDENCE → WORDS: tokens of the queries of the window, by weight, then by token.

    A token's weight adds up, over the people who engaged with the pin after queries that hold it, the weight of the
    strongest thing that each did. last_day: the last of the window's `window_days`. `unseen` says what does not count.
    """
    since = pa.scalar(last_day - datetime.timedelta(days=settings.window_days - 1), pa.date32())
    recent = pc.and_(
        pc.greater_equal(evidence.column("last_day"), since),
        pc.less_equal(evidence.column("last_day"), pa.scalar(last_day, pa.date32())),
    )
    searched = pc.and_(pc.not_equal(evidence.column("kind"), BOARD), pc.not_equal(evidence.column("word"), ""))
    engaged = evidence.filter(pc.and_(recent, searched))
    engaged = engaged.filter(pa.array(may_be_seen(engaged.column("pin_id"), engaged.column("word"), forbidden)))
    row_T, word_T, words = _exploded(engaged.column("word"))
    pin_T = codes(engaged.column("pin_id"))[row_T]
    people_W, weight_W, first_W = _people(pin_T, word_T, row_T, engaged, settings)
    queries_W = _distinct_within(packed(pin_T, word_T), codes(engaged.column("word"))[row_T])
    enough_W = np.flatnonzero((people_W >= settings.min_users) & (queries_W >= settings.min_queries))
    rows_W = first_W[enough_W]
    shown = words.take(pa.array(word_T[rows_W]))
    counted = _Counted(pin_T[rows_W], shown, weight_W[enough_W])
    return _texts(engaged.column("pin_id"), counted, shown, settings.top_tokens, " ")


def long_clicked(evidence: pa.Table, forbidden: Unseen, settings: EngagementSettings) -> pa.Array:
    """The pins whose link kept enough people, after queries that count or without one (`unseen`)."""
    stays = evidence.filter(pc.equal(evidence.column("kind"), LONG_CLICK))
    stays = stays.filter(pa.array(may_be_seen(stays.column("pin_id"), stays.column("word"), forbidden)))
    people = stays.group_by("pin_id").aggregate([("user", "count_distinct")])
    enough = pc.greater_equal(people.column("user_count_distinct"), settings.min_users)
    return people.filter(enough).column("pin_id").combine_chunks()


def tokens_of(query: str) -> list[str]:
    """The distinct tokens of a normalised query: what stands between spaces and holds a letter, a digit or a picture
    (an emoji; Unicode category So)."""
    return [token for token in dict.fromkeys(query.split(" ")) if any(map(_says_something, token))]


def _exploded(queries: pa.ChunkedArray) -> tuple[Ints, Ints, pa.Array]:
    """A row of T for each token of each query: the query's row, the token's code, and the tokens by code."""
    encoded = queries.combine_chunks().dictionary_encode()
    tokens = [tokens_of(query) for query in encoded.dictionary.to_pylist()]
    flat = pa.array([token for each in tokens for token in each], pa.string()).dictionary_encode()
    ends = np.cumsum([0, *map(len, tokens)]).astype(np.int32)
    of_row = pa.ListArray.from_arrays(pa.array(ends), flat.indices).take(encoded.indices)
    row_T = pc.list_parent_indices(of_row).to_numpy()
    return row_T, pc.list_flatten(of_row).to_numpy().astype(np.int64), flat.dictionary


def _says_something(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) == "So"


def _people(
    pin_T: Ints, word_T: Ints, row_T: Ints, engaged: pa.Table, settings: EngagementSettings
) -> tuple[Ints, Ints, Ints]:
    """Of each (pin, token), in the order of their packed codes: people, weight, and one of its rows in T."""
    weights = settings.weights
    kind_weights = np.array([0, weights.click, weights.long_click, weights.save], dtype=np.int64)
    weight_T = kind_weights[engaged.column("kind").to_numpy()][row_T]
    word_of_pin_T = packed(pin_T, word_T)
    key_T = packed(word_of_pin_T, dense(engaged.column("user").to_numpy())[row_T], weight_T)
    order_T = np.argsort(key_T)
    person_T = (key_T // (int(weight_T.max(initial=0)) + 1))[order_T]
    last_P = np.flatnonzero(np.r_[person_T[1:] != person_T[:-1], True]) if len(person_T) else starts(person_T)
    strongest_P = order_T[last_P]
    starts_W = starts(word_of_pin_T[strongest_P])
    people_W = np.diff(np.r_[starts_W, len(strongest_P)])
    weight_W = np.add.reduceat(weight_T[strongest_P], starts_W) if len(starts_W) else people_W
    return people_W, weight_W, strongest_P[starts_W]


def _distinct_within(code_T: Ints, value_T: Ints) -> Ints:
    """How many distinct values each code has, in the order of the codes."""
    pairs_P = distinct(packed(code_T, value_T)) // (int(value_T.max(initial=0)) + 1)
    return np.diff(np.r_[starts(pairs_P), len(pairs_P)])


def _texts(pin_ids: pa.ChunkedArray, counted: _Counted, shown: pa.Array, top_k: int, separator: str) -> pa.Table:
    """The top words of each pin in one text; pin_ids are those that the codes of the pins came from."""
    if not len(counted.word):
        return WORDS.empty_table()
    by_name_W = _ranks(counted.word)
    order_W = np.lexsort((by_name_W, -counted.weight_W, counted.pin_W))
    place_W = np.empty(len(order_W), dtype=np.int64)
    place_W[order_W] = np.arange(len(order_W))
    top_W = order_W[rank_within(counted.pin_W, place_W)[order_W] < top_k]
    if not len(top_W):
        return WORDS.empty_table()
    starts_P = starts(counted.pin_W[top_W])
    offsets = pa.array(np.r_[starts_P, len(top_W)].astype(np.int32))
    values = shown.take(pa.array(top_W))
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    texts = pc.binary_join(pa.ListArray.from_arrays(offsets, values), separator)
    named = pc.unique(pin_ids).take(pa.array(counted.pin_W[top_W][starts_P]))
    return pa.table([named, texts], schema=WORDS)


def _ranks(words: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    order_W = pc.sort_indices(words).to_numpy()
    ranks_W = np.empty(len(order_W), dtype=np.int64)
    ranks_W[order_W] = np.arange(len(order_W))
    return ranks_W
