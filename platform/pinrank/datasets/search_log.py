"""What a log of searches becomes: impressions and engagement, and the pins where the log brings them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pinrank.datasets.tidy_checks import refuse_broken
from pinrank.datasets.tidy_form import Broken

TIME = pa.timestamp("us", tz="UTC")
CLICK = "click"
SAVE = "save"
"""The actions that pin text is made of; a long click is a click with a stay."""


@dataclass(frozen=True)
class SearchLog:
    """Our tables, the rows that could not be used (by file), and counts for a summary; pins: None without any."""

    impressions: pa.Table
    engagement: pa.Table
    pins: pa.Table | None = None
    broken: Mapping[str, Broken] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    rows_in: int = 0


def refuse_too_many_broken(log: SearchLog, max_share: float) -> None:
    """Raise TableError when more than this share of a file's rows cannot be used; its first row is named."""
    for broken in log.broken.values():
        refuse_broken(broken, max_share)


def user_hash(client: str) -> str:
    """16 hex digits (BLAKE2b-64) that stand for a client: the same client has the same, and it is no name."""
    return hashlib.blake2b(client.encode(errors="replace"), digest_size=8).hexdigest()


def time_of(value: Any) -> datetime | None:
    """A time in UTC: RFC 3339 text, milliseconds since 1970 as a number or digits, or a datetime; None for others.

    A time that does not say its zone is UTC.
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            value = int(text) if text.isdecimal() else datetime.fromisoformat(text)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
