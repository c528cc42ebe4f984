import datetime
from collections import defaultdict

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pinrank.engagement.evidence import BOARD, CLICK, LONG_CLICK, SAVE, evidence_of, merged
from pinrank.engagement.words import board_titles, long_clicked, query_tokens
from pinrank.tables import ENGAGEMENT, PIN_ENGAGEMENT, faults
from pinrank.text import normalise_query, tidy
from pinrank.unseen import NOTHING
from tests.engagement.logged import NOW, TODAY, wanting

ACTION = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 900).map(lambda days: NOW - datetime.timedelta(days=days)),
        "user_hash": st.sampled_from("abc"),
        "query": st.sampled_from([None, "", "Red shoes", "red  SHOES", "hat", "\u05d0 \U0001f44d"]),
        "pin_id": st.sampled_from("pq"),
        "action": st.sampled_from(["click", "long_click", "save", "view"]),
        "board_title": st.sampled_from([None, " ", "Kitchen", "kitchen ", "Hats"]),
        "dwell_s": st.sampled_from([None, 3.0, 30.0]),
    }
)
LOGS = st.lists(st.lists(ACTION, max_size=8), max_size=4)


def evidence(actions: list[dict]) -> pa.Table:
    return evidence_of(pa.Table.from_pylist(actions, ENGAGEMENT.schema), 10.0)


@given(LOGS)
def test_evidence_of_all_days_is_that_of_yesterday_and_today(days: list[list[dict]]) -> None:
    kept = merged([])
    for day in days:
        kept = merged([kept, evidence(day)])
    assert kept.equals(merged([evidence([action for day in days for action in day])]))
    assert faults(kept, PIN_ENGAGEMENT) == []


@given(LOGS)
def test_day_that_is_added_again_changes_nothing(days: list[list[dict]]) -> None:
    kept = merged([evidence(day) for day in days])
    assert merged([kept, *(evidence(day) for day in reversed(days)), kept]).equals(kept)


@given(st.lists(ACTION, max_size=12))
def test_evidence_is_what_the_rules_say(actions: list[dict]) -> None:
    expected: dict[tuple, tuple] = {}
    for row in actions:
        stayed = row["dwell_s"] == 30.0 or (row["action"] == "long_click" and row["dwell_s"] is None)
        kind = {"save": SAVE, "view": None}.get(row["action"], LONG_CLICK if stayed else CLICK)
        if kind is None:
            continue
        query, title = normalise_query(row["query"] or ""), tidy(row["board_title"])
        found = [(kind, query, None)] if query or kind == LONG_CLICK else []
        found += [(BOARD, normalise_query(title), title)] if kind == SAVE and title else []
        for each, word, spelling in found:
            key = (row["pin_id"], each, word, row["user_hash"])
            day, earlier = expected.get(key, (row["ts"].date(), spelling))
            expected[key] = (max(day, row["ts"].date()), min(earlier, spelling) if spelling else None)
    users = {evidence_of(_one(user), 10.0)["user"][0].as_py(): user for user in "abc"}
    rows = merged([evidence(actions)]).to_pylist()
    held = {(r["pin_id"], r["kind"], r["word"], users[r["user"]]): (r["last_day"], r["spelling"]) for r in rows}
    assert held == expected


@given(st.lists(ACTION, max_size=16), st.integers(1, 3), st.integers(1, 800))
def test_words_are_counted_by_people_as_a_slow_count_does(actions: list[dict], min_users: int, window: int) -> None:
    settings = wanting(min_users=min_users, window_days=window, top_boards=99, top_tokens=99)
    people: dict[tuple, set] = defaultdict(set)
    for row in actions:
        if row["action"] == "view":
            continue
        if row["action"] == "save" and tidy(row["board_title"]):
            people["board", row["pin_id"], normalise_query(row["board_title"])].add(row["user_hash"])
        if (TODAY - row["ts"].date()).days < window:
            for token in set(normalise_query(row["query"] or "").split()):
                people["token", row["pin_id"], token].add(row["user_hash"])
        if row["action"] != "save" and (
            row["dwell_s"] == 30.0 or (row["action"], row["dwell_s"]) == ("long_click", None)
        ):
            people["stay", row["pin_id"], ""].add(row["user_hash"])
    enough = {key for key, users in people.items() if len(users) >= min_users}
    found = evidence(actions)
    boards = {
        ("board", r["pin_id"], normalise_query(t))
        for r in _rows(board_titles(found, settings))
        for t in r["text"].split(", ")
    }
    tokens = {
        ("token", r["pin_id"], t)
        for r in _rows(query_tokens(found, NOTHING, TODAY, settings))
        for t in r["text"].split()
    }
    stays = {("stay", pin, "") for pin in long_clicked(found, NOTHING, settings).to_pylist()}
    assert boards | tokens | stays == enough


def _rows(table: pa.Table) -> list[dict]:
    return table.to_pylist()


def _one(user: str) -> pa.Table:
    return pa.Table.from_pylist(
        [{"ts": NOW, "user_hash": user, "query": "q", "pin_id": "p", "action": "click"}], ENGAGEMENT.schema
    )
