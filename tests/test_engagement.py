import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.engagement import EngagementSettings, board_titles, long_clicked, pin_text, query_tokens
from pinrank.sampling import held_out_queries
from pinrank.tables import ENGAGEMENT, PIN_TEXT, PINS, faults
from pinrank.text import fingerprint

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
ANYONE = EngagementSettings(min_users=1)


def log(*rows: tuple) -> pa.Table:
    """Rows of user, pin, action, and what belongs to it: a board title, a query, or seconds."""
    actions = []
    for user, pin, action, detail in rows:
        kind = {"save": "board_title", "search": "query"}.get(action, "dwell_s")
        row = {"ts": NOW, "user_hash": user, "pin_id": pin, "action": "click" if action == "search" else action}
        actions.append({**row, kind: detail})
    return pa.Table.from_pylist(actions, ENGAGEMENT.schema)


def pins(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist([{"source": "s", "locale": "en", **row} for row in rows], PINS.schema)


def test_board_titles_are_counted_by_people_not_by_saves() -> None:
    saves = log(*[("u1", "p", "save", "spam")] * 9, ("u1", "p", "save", "kitchen"), ("u2", "p", "save", "kitchen"))
    assert board_titles(saves, EngagementSettings(min_users=2)) == {"p": ["kitchen"]}
    assert board_titles(saves, ANYONE) == {"p": ["kitchen", "spam"]}


def test_spellings_of_a_board_title_are_one() -> None:
    saves = log(("u1", "p", "save", "Kitchen  ideas"), ("u2", "p", "save", "kitchen ideas"))
    assert board_titles(saves, EngagementSettings(min_users=2)) == {"p": ["Kitchen ideas"]}


def test_only_top_k_titles_are_kept_and_ties_go_by_name() -> None:
    saves = log(*[("u1", "p", "save", title) for title in "dbca"], ("u2", "p", "save", "d"))
    assert board_titles(saves, EngagementSettings(min_users=1, top_boards=2)) == {"p": ["d", "a"]}
    assert board_titles(saves, EngagementSettings(min_users=1, top_boards=0)) == {}


def test_empty_titles_and_other_actions_give_nothing() -> None:
    actions = log(("u1", "p", "save", None), ("u1", "p", "save", "  "), ("u1", "p", "click", 3.0))
    assert board_titles(actions, ANYONE) == {}


def test_query_tokens_are_counted_by_people() -> None:
    actions = log(
        ("u1", "p", "search", "Red shoes"), ("u2", "p", "search", "red HAT - !"), ("u2", "q", "search", "hat")
    )
    assert query_tokens(actions, (), ANYONE) == {"p": ["red", "hat", "shoes"], "q": ["hat"]}
    assert query_tokens(actions, (), EngagementSettings(min_users=2)) == {"p": ["red"]}
    assert query_tokens(actions, (), EngagementSettings(min_users=1, top_tokens=1)) == {"p": ["red"], "q": ["hat"]}


def test_views_and_missing_queries_give_no_tokens() -> None:
    actions = log(("u1", "p", "save", "board"), ("u1", "p", "search", None), ("u1", "p", "search", ""))
    seen = pa.Table.from_pylist(
        [{"ts": NOW, "user_hash": "u", "pin_id": "p", "action": "view", "query": "red"}], ENGAGEMENT.schema
    )
    assert query_tokens(pa.concat_tables([actions, seen]), (), ANYONE) == {}


def test_tokens_of_held_out_queries_never_reach_the_pin_text() -> None:
    judgments = pa.table({"query": ["Secret Lamp", "green sofa", "red shoes"], "split": ["test", "dev", "train"]})
    actions = log(
        *[(user, "p", "search", query) for user in "abc" for query in ("secret  LAMP", "Green Sofa", "red shoes")]
    )
    texts = pin_text(pins({"pin_id": "p"}), actions, held_out_queries(judgments), ANYONE)
    assert texts.column("query_tokens").to_pylist() == ["red shoes"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x y", "y z", "Z w"])), max_size=12))
def test_held_out_queries_change_nothing_but_their_own_tokens(actions: list[tuple[str, str]]) -> None:
    rows = [(user, "p", "search", query) for user, query in actions]
    without = log(*[row for row in rows if row[3] != "Z w"])
    assert query_tokens(log(*rows), {"z w"}, ANYONE) == query_tokens(without, {"z w"}, ANYONE)


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
    assert long_clicked(pa.Table.from_pylist([row], ENGAGEMENT.schema), ANYONE) == ({"p"} if long else set())


def test_long_clicks_count_people() -> None:
    clicks = log(*[("u1", "p", "click", 60.0)] * 5, ("u2", "q", "click", 60.0), ("u1", "q", "click", 60.0))
    assert long_clicked(clicks, EngagementSettings(min_users=2)) == {"q"}


PIN = {
    "pin_id": "p",
    "title": " Red\x00shoes ",
    "caption": "a shoe",
    "board_titles": ["Own", "own", ""],
    "link_title": "Shop",
    "link_description": "Buy",
}


def test_without_a_log_the_pins_own_words_are_used() -> None:
    (row,) = pin_text(pins(PIN), None, (), ANYONE).to_pylist()
    fields = {
        "title": "Red shoes",
        "description": "",
        "caption": "a shoe",
        "board_titles": "Own, own",
        "query_tokens": "",
        "link_title": "Shop",
        "link_description": "Buy",
    }
    assert row == {"pin_id": "p", "source": "s", "locale": "en", **fields, "fingerprint": fingerprint(fields)}


def test_with_a_log_link_text_needs_long_clicks_and_boards_come_from_the_log() -> None:
    actions = log(("u1", "p", "click", 30.0), ("u1", "q", "click", 3.0), ("u1", "q", "save", "Saved"))
    first, second = pin_text(pins(PIN, {**PIN, "pin_id": "q"}), actions, (), ANYONE).to_pylist()
    assert (first["link_title"], first["link_description"], first["board_titles"]) == ("Shop", "Buy", "")
    assert (second["link_title"], second["link_description"], second["board_titles"]) == ("", "", "Saved")


def test_empty_log_is_a_log() -> None:
    (row,) = pin_text(pins(PIN), ENGAGEMENT.schema.empty_table(), (), ANYONE).to_pylist()
    assert (row["title"], row["board_titles"], row["link_title"]) == ("Red shoes", "", "")


def test_pin_text_keeps_order_schema_and_rules() -> None:
    texts = pin_text(pins({"pin_id": "b"}, {"pin_id": "a"}, PIN), None, (), ANYONE)
    assert texts.schema == PIN_TEXT.schema
    assert texts.column("pin_id").to_pylist() == ["b", "a", "p"]
    assert faults(texts, PIN_TEXT) == []
    assert all(texts.column(name).null_count == 0 for name in PIN_TEXT.schema.names)
