"""Lists as the service logs them."""

import datetime
from pathlib import Path
from typing import Any

from pinrank.served.lists import ServedList

DAY = datetime.date(2026, 5, 4)
NOON = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)


def served_list(list_id: str, pins: int = 0, **said: Any) -> ServedList:
    """A list of so many pins, or of the columns given."""
    columns: dict[str, Any] = {
        "pin_ids": tuple(f"p{number}" for number in range(pins)),
        "positions": tuple(range(pins)),
        "scores": tuple(1 - number / 10 for number in range(pins)),
        "levels": tuple(5 - number % 5 for number in range(pins)),
    }
    usual = {"list_id": list_id, "ts": NOON, "query": "red shoes", "query_locale": "en", "version": "s@12345678"}
    return ServedList.model_validate(usual | columns | said)


def write_log(
    folder: Path, *lists: ServedList, day: datetime.date = DAY, name: str = "host-1", end: str = ".jsonl"
) -> Path:
    """A file of the log."""
    path = folder / day.isoformat() / f"served-{name}{end}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{each.model_dump_json()}\n" for each in lists))
    return path
