import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.engagement import words
from pinrank.engagement.evidence import evidence_of, merged
from pinrank.engagement.settings import ActionWeights, EngagementSettings
from pinrank.tables import ENGAGEMENT
from pinrank.unseen import NOTHING, Unseen, unseen
from tests.engagement.logged import NOW, TODAY, log, wanting


def evidence(actions: pa.Table, settings: EngagementSettings) -> pa.Table:
    """Evidence of a log; a function of evidence must not care whether it is merged."""
    return evidence_of(actions, settings.min_dwell_s)


def board_titles(actions: pa.Table, settings: EngagementSettings) -> dict[str, list[str]]:
    found = words.board_titles(evidence(actions, settings), settings)
    assert found.equals(words.board_titles(merged([evidence(actions, settings)]), settings))
    return {row["pin_id"]: row["text"].split(", ") for row in found.to_pylist()}


def query_tokens(
    actions: pa.Table, settings: EngagementSettings, forbidden: Unseen = NOTHING, last_day: datetime.date = TODAY
) -> dict[str, list[str]]:
    found = words.query_tokens(evidence(actions, settings), forbidden, last_day, settings)
    again = words.query_tokens(merged([evidence(actions, settings)]), forbidden, last_day, settings)
    assert sorted(found.to_pylist(), key=str) == sorted(again.to_pylist(), key=str)
    return {row["pin_id"]: row["text"].split(" ") for row in found.to_pylist()}


def long_clicked(actions: pa.Table, settings: EngagementSettings, forbidden: Unseen = NOTHING) -> set[str]:
    return set(words.long_clicked(evidence(actions, settings), forbidden, settings).to_pylist())


def test_board_titles_are_counted_by_people_not_by_saves() -> None:
    saves = log(*[("u1", "p", "save", "spam")] * 9, ("u1", "p", "save", "kitchen"), ("u2", "p", "save", "kitchen"))
    assert board_titles(saves, wanting(min_users=2)) == {"p": ["kitchen"]}
    assert board_titles(saves, wanting()) == {"p": ["kitchen", "spam"]}


def test_spellings_of_a_board_title_are_one() -> None:
    saves = log(("u1", "p", "save", "Kitchen  ideas"), ("u2", "p", "save", "kitchen ideas"))
    assert board_titles(saves, wanting(min_users=2)) == {"p": ["Kitchen ideas"]}


def test_only_top_k_titles_are_kept_and_ties_go_by_name() -> None:
    saves = log(*[("u1", "p", "save", title) for title in "dbca"], ("u2", "p", "save", "d"))
    assert board_titles(saves, wanting(top_boards=2)) == {"p": ["d", "a"]}
    assert board_titles(saves, wanting(top_boards=0)) == {}


def test_empty_titles_and_other_actions_give_nothing() -> None:
    actions = log(("u1", "p", "save", None), ("u1", "p", "save", "  "), ("u1", "p", "click", 3.0))
    assert board_titles(actions, wanting()) == {}


def test_query_tokens_are_counted_by_people() -> None:
    actions = log(
        ("u1", "p", "search", "Red shoes"), ("u2", "p", "search", "red HAT - !"), ("u2", "q", "search", "hat")
    )
    assert query_tokens(actions, wanting()) == {"p": ["red", "hat", "shoes"], "q": ["hat"]}
    assert query_tokens(actions, wanting(min_users=2)) == {"p": ["red"]}
    assert query_tokens(actions, wanting(top_tokens=1)) == {"p": ["red"], "q": ["hat"]}


def test_a_persons_strongest_action_weighs_once() -> None:
    rows = [("a", "click", "red"), ("b", "click", "red"), ("c", "click", "red"), ("a", "click", "hat")]
    rows += [("a", "save", "hat"), ("a", "save", "hat"), ("b", "long_click", "hat"), ("b", "click", "hat")]
    actions = pa.Table.from_pylist(
        [{"ts": NOW, "user_hash": u, "pin_id": "p", "action": action, "query": q} for u, action, q in rows],
        ENGAGEMENT.schema,
    )
    assert query_tokens(actions, wanting(weights=ActionWeights(click=1, long_click=2, save=3))) == {"p": ["hat", "red"]}
    assert query_tokens(actions, wanting()) == {"p": ["red", "hat"]}


def test_only_queries_of_the_window_count() -> None:
    old = log(("u1", "p", "search", "red"), ts=NOW - datetime.timedelta(days=7))
    actions = pa.concat_tables([old, log(("u1", "p", "search", "hat"))])
    assert query_tokens(actions, wanting(window_days=8)) == {"p": ["hat", "red"]}
    assert query_tokens(actions, wanting(window_days=7)) == {"p": ["hat"]}


def test_token_needs_several_queries_behind_it() -> None:
    actions = log(*[(user, "p", "search", "red shoes") for user in "abcd"], ("a", "p", "search", "red hat"))
    assert query_tokens(actions, wanting(min_queries=2)) == {"p": ["red"]}


def test_views_and_missing_queries_give_no_tokens() -> None:
    actions = log(("u1", "p", "save", "board"), ("u1", "p", "search", None), ("u1", "p", "search", ""))
    seen = pa.Table.from_pylist(
        [{"ts": NOW, "user_hash": "u", "pin_id": "p", "action": "view", "query": "red"}], ENGAGEMENT.schema
    )
    assert query_tokens(pa.concat_tables([actions, seen]), wanting()) == {}


def test_emoji_is_a_token_and_punctuation_is_none() -> None:
    assert query_tokens(log(("u1", "p", "search", "\u2764\ufe0f tattoo - ?!")), wanting()) == {
        "p": ["tattoo", "\u2764"]
    }


def test_who_stayed_after_a_query_that_must_not_be_seen_does_not_count() -> None:
    stay = {"ts": NOW, "action": "long_click"}
    rows = [("p", "Red  Hat"), ("q", "red hat"), ("q", "shoes"), ("r", None), ("s", "sofa")]
    actions = pa.Table.from_pylist(
        [{**stay, "user_hash": "a", "pin_id": pin, "query": query} for pin, query in rows], ENGAGEMENT.schema
    )
    judgments = pa.table({"query": ["red hat", "sofa"], "pin_id": ["p", "s"], "split": ["test", "train"]})
    assert long_clicked(actions, wanting(), unseen(judgments)) == {"q", "r"}
    assert long_clicked(actions, wanting()) == {"p", "q", "r", "s"}


QUERIES = ["red shoes", "Red Hat", "blue  hat", "green sofa", "shoes"]
ACTIONS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("pq"), st.just("search"), st.sampled_from(QUERIES)), max_size=25
)
JUDGED = st.lists(
    st.tuples(st.sampled_from(QUERIES), st.sampled_from("pq"), st.sampled_from(["train", "dev", "test"])), max_size=4
)


def judgments(rows: list[tuple[str, str, str]]) -> pa.Table:
    names = ("query", "pin_id", "split")
    return pa.table({name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(names)})


@given(ACTIONS, JUDGED)
def test_judged_pairs_own_query_does_not_change_its_pins_text(
    actions: list[tuple[str, str, str, str]], judged: list[tuple[str, str, str]]
) -> None:
    forbidden = unseen(judgments(judged))
    tokens = query_tokens(log(*actions), wanting(), forbidden)
    for query, pin, _ in judged:
        without = [row for row in actions if (row[3], row[1]) != (query, pin)]
        assert query_tokens(log(*without), wanting(), forbidden).get(pin) == tokens.get(pin)


@given(ACTIONS, JUDGED)
def test_queries_of_dev_and_test_change_no_pins_text(
    actions: list[tuple[str, str, str, str]], judged: list[tuple[str, str, str]]
) -> None:
    forbidden = unseen(judgments(judged))
    held_out = {query for query, _, split in judged if split != "train"}
    without = [row for row in actions if row[3] not in held_out]
    assert query_tokens(log(*actions), wanting(), forbidden) == query_tokens(log(*without), wanting(), forbidden)


@given(ACTIONS)
def test_no_token_is_there_for_one_query_alone(actions: list[tuple[str, str, str, str]]) -> None:
    tokens = query_tokens(log(*actions), wanting(min_queries=2, top_tokens=99))
    for query in QUERIES:
        others = [row for row in actions if row[3] != query]
        left = query_tokens(log(*others), wanting(top_tokens=99))
        assert all(set(found) <= set(left.get(pin, ())) for pin, found in tokens.items())


def test_query_in_another_spelling_is_the_same_query() -> None:
    forbidden = unseen(judgments([("\u200fRed  SHOES", "p", "train")]))
    assert query_tokens(log(("u1", "p", "search", "red shoes")), wanting(), forbidden) == {}


@pytest.mark.parametrize(
    ("action", "dwell_s", "long"),
    [
        ("click", 10.0, True),
        ("click", 9.9, False),
        ("click", None, False),
        ("long_click", 9.9, False),
        ("long_click", None, True),
        ("save", 60.0, False),
    ],
)
def test_a_click_is_long_from_ten_seconds_on(action: str, dwell_s: float | None, long: bool) -> None:
    row = {"ts": NOW, "user_hash": "u", "pin_id": "p", "action": action, "dwell_s": dwell_s}
    assert long_clicked(pa.Table.from_pylist([row], ENGAGEMENT.schema), wanting()) == ({"p"} if long else set())


def test_long_clicks_count_people() -> None:
    clicks = log(*[("u1", "p", "click", 60.0)] * 5, ("u2", "q", "click", 60.0), ("u1", "q", "click", 60.0))
    assert long_clicked(clicks, wanting(min_users=2)) == {"q"}
