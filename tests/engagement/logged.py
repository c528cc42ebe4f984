"""A small log, and settings that keep all of it."""

import datetime
from typing import Any

import pyarrow as pa

from pinrank.engagement.settings import ActionWeights, EngagementSettings
from pinrank.tables import ENGAGEMENT

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
TODAY = NOW.date()


def wanting(**changes: Any) -> EngagementSettings:
    """Settings that keep what one person did once, with every action alike, but for the changes."""
    alike = ActionWeights(click=1, long_click=1, save=1)
    return EngagementSettings(**{"min_users": 1, "min_queries": 1, "weights": alike, **changes})


def log(*rows: tuple, ts: datetime.datetime = NOW) -> pa.Table:
    """Rows of user, pin, action, and what belongs to it: a board title, a query, or seconds."""
    actions = []
    for user, pin, action, detail in rows:
        kind = {"save": "board_title", "search": "query"}.get(action, "dwell_s")
        row = {"ts": ts, "user_hash": user, "pin_id": pin, "action": "click" if action == "search" else action}
        actions.append({**row, kind: detail})
    return pa.Table.from_pylist(actions, ENGAGEMENT.schema)
