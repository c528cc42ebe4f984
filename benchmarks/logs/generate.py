"""Logs of any size from a seed, vectorised: Zipf queries, people, boards, thirty days, a file a day. Not a world."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS

DAYS = 30
DAY_US = 86_400_000_000
START_US = int(np.datetime64("2026-05-01", "us").astype(np.int64))
LOCALES = ("en", "de", "pt", "ja")
COUNTRIES = ("US", "DE", "BR", "JP")
NUM_WORDS = 5_000
HELD_OUT_EVERY = 50
"""Every so many-th query is judged in the test split."""

Ints = NDArray[np.int64]


def write_logs(folder: Path, rows: int, seed: int = 0) -> None:
    """pins, judgments, engagement and impressions; the logs have `rows` rows each, the other tables a share of them."""
    rng = np.random.default_rng(seed)
    num_pins, num_queries, num_users = max(rows // 20, 10), max(rows // 50, 10), max(rows // 10, 10)
    words = rng.integers(0, NUM_WORDS, (num_queries, 3))
    queries = [f"Word{a} word{b}  style{c % 40}" for a, b, c in words.tolist()]
    names = {
        "query": pa.array(queries),
        "pin_id": pa.array([f"pin:{pin:08d}" for pin in range(num_pins)]),
        "user": pa.array([f"{user * 2654435761 % 2**64:016x}" for user in range(num_users)]),
        "board": pa.array([f"My Board {board}" for board in range(NUM_WORDS)]),
    }
    write(pins(names["pin_id"]), folder / "pins", 0)
    write(judgments(queries), folder / "judgments", 0)
    for day in range(DAYS):
        size = rows // DAYS + (day < rows % DAYS)
        of_query = (rng.zipf(1.2, size) - 1) % num_queries
        of_pin = (of_query * 7919 + (rng.zipf(1.3, size) - 1)) % num_pins
        ts = np.sort(START_US + day * DAY_US + rng.integers(0, DAY_US, size))
        common = {"ts": pa.array(ts).cast(ENGAGEMENT.schema.field("ts").type), "query": take(names["query"], of_query)}
        common |= {"pin_id": take(names["pin_id"], of_pin), "query_locale": take(pa.array(LOCALES), of_query % 4)}
        write(engagement(rng, common, names, size), folder / "engagement", day)
        write(impressions(rng, common, of_query, day, size), folder / "impressions", day)


def engagement(
    rng: np.random.Generator, common: dict[str, pa.Array], names: dict[str, pa.Array], size: int
) -> pa.Table:
    """A day's actions: three clicks of which one is long, for two saves."""
    kind = rng.integers(0, 5, size)
    user = (rng.zipf(1.1, size) * 48271) % len(names["user"])
    board = take(names["board"], rng.integers(0, 50, size) * 97 % NUM_WORDS)
    saved = pa.array(kind >= 3)
    columns = common | {
        "user_hash": take(names["user"], user),
        "action": take(pa.array(["click", "click", "long_click", "save", "save"]), kind),
        "board_title": pc.if_else(saved, board, None),
        "dwell_s": pc.if_else(saved, None, pa.array(rng.exponential(12, size).astype(np.float32))),
    }
    return pa.table([columns[name] for name in ENGAGEMENT.schema.names], schema=ENGAGEMENT.schema)


def impressions(rng: np.random.Generator, common: dict[str, pa.Array], of_query: Ints, day: int, size: int) -> pa.Table:
    """A day's impressions."""
    columns = common | {
        "impression_id": pa.array([f"imp:{day:02d}:{row:09d}" for row in range(size)]),
        "country": take(pa.array(COUNTRIES), (of_query // 4) % 4),
        "position": pa.array(rng.integers(1, 50, size).astype(np.int32)),
        "actions": pa.nulls(size, IMPRESSIONS.schema.field("actions").type),
        "source": pa.repeat("search", size),
    }
    return pa.table([columns[name] for name in IMPRESSIONS.schema.names], schema=IMPRESSIONS.schema)


def pins(pin_ids: pa.Array) -> pa.Table:
    """Pins with a link text whose suffix their domain repeats."""
    rows = range(len(pin_ids))
    columns = {
        "pin_id": pin_ids,
        "title": [f"Title {row}" for row in rows],
        "link_title": [f"Page {row} | Shop {row % 100}" for row in rows],
        "link_description": [f"What page {row} says" for row in rows],
        "link_url": [f"https://shop{row % 100}.example/{row}" for row in rows],
        "board_titles": pa.nulls(len(pin_ids), PINS.schema.field("board_titles").type),
    }
    nothing = {field.name: pa.nulls(len(pin_ids), field.type) for field in PINS.schema}
    return pa.table([(nothing | columns)[name] for name in PINS.schema.names], schema=PINS.schema)


def judgments(queries: list[str]) -> pa.Table:
    """Queries that must not be seen."""
    held_out = [(number, query) for number, query in enumerate(dict.fromkeys(queries)) if number % HELD_OUT_EVERY == 0]
    rows = [
        {"judgment_id": str(number), "query_id": str(number), "query": query, "pin_id": "none", "level": 3}
        | {"source": "made", "split": "test"}
        for number, query in held_out
    ]
    return pa.Table.from_pylist(rows, JUDGMENTS.schema)


def take(values: pa.Array, which: Ints) -> pa.Array:
    """The values of these numbers."""
    return values.take(pa.array(which))


def write(table: pa.Table, folder: Path, part: int) -> None:
    """One file of a table."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"part-{part:05d}.parquet", compression="zstd", row_group_size=500_000)
