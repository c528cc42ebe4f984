from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.datasets.search_log import time_of, user_hash

NOON = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2024-06-01T12:00:00Z",
        "2024-06-01T12:00:00.000Z",
        "2024-06-01T14:00:00+02:00",
        "2024-06-01 12:00:00",
        1717243200000,
        1717243200000.0,
        "1717243200000",
        NOON,
        NOON.astimezone(timezone(timedelta(hours=-7))),
        datetime(2024, 6, 1, 12, 0),
    ],
)
def test_a_moment_is_the_same_in_every_spelling(value: Any) -> None:
    assert time_of(value) == NOON
    assert time_of(value).tzinfo == UTC


@pytest.mark.parametrize("value", ["", "yesterday", "2024-13-01", None, True, [], {}, 1e30, "9" * 30, float("nan")])
def test_what_is_no_time_is_none(value: Any) -> None:
    assert time_of(value) is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_no_value_is_an_error(value: Any) -> None:
    found = time_of(value)
    assert found is None or found.tzinfo == UTC


@given(st.text(), st.text())
def test_clients_keep_apart_and_the_same_client_is_the_same_user(one: str, other: str) -> None:
    assert len(user_hash(one)) == 16
    assert (user_hash(one) == user_hash(other)) == (one.encode(errors="replace") == other.encode(errors="replace"))
