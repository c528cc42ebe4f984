"""A log as a folder a day, impressions/2026-05-04/, as the loop over days (pinrank.daily) reads it."""

import datetime
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.errors import TableError
from pinrank.parquet import exists, holds_rows
from pinrank.tables import IMPRESSIONS, Table, read, write

Tables = Mapping[Table, pa.Table]
"""The rows of each table of a log; every one has a column `ts`."""


def write_day(log: Tables, folder: str, day: datetime.date) -> None:
    """Write all rows as the log of one day, in the place of what was there of it. Raises TableError as write_days."""
    refuse_uncut(log, folder)
    for table, rows in log.items():
        write(rows, f"{folder}/{table.name}/{day}", table)


def write_days(log: Tables, folder: str) -> list[datetime.date]:
    """Cut a log by the day (UTC) of its rows and write every day; returns the days.

    A day with impressions has a folder in every table, with no rows where nothing happened; one without has not arrived
    for the loop. Days that are there already stay as they are. Raises TableError when one of them would change, a row
    has no time, or the folder holds a log that is not cut; nothing is written then.
    """
    refuse_uncut(log, folder)
    for table, rows in log.items():
        if num_timeless := rows.column("ts").null_count:
            raise TableError(
                f"{folder}: {num_timeless} rows of the log's {table.name} have no time, so their day is unknown. "
                "Import the log with --date, a day at a time."
            )
    days = sorted({day for rows in log.values() for day in pc.unique(_days(rows)).to_pylist()})
    parts = {(table, day): rows.filter(pc.equal(_days(rows), day)) for table, rows in log.items() for day in days}
    parts = {(table, day): rows for (table, day), rows in parts.items() if rows.num_rows or table is not IMPRESSIONS}
    new = {key: rows for key, rows in parts.items() if not _is_there(rows, folder, *key)}
    for (table, day), rows in new.items():
        write(rows, f"{folder}/{table.name}/{day}", table)
    return days


def refuse_uncut(log: Tables, folder: str) -> None:
    """Raise TableError when a table holds files that are in no day's folder: whoever reads it would take both."""
    for table in log:
        path = f"{folder}/{table.name}"
        if exists(path) and holds_rows(path):
            raise TableError(f"{path}: holds a log that is not cut into days. Remove it, or choose another --output.")


def _days(rows: pa.Table) -> pa.ChunkedArray:
    return rows.column("ts").cast(pa.date32())


def _is_there(rows: pa.Table, folder: str, table: Table, day: datetime.date) -> bool:
    path = f"{folder}/{table.name}/{day}"
    if not (exists(path) and holds_rows(path)):
        return False
    if not read(path, table).equals(rows.cast(table.schema)):
        raise TableError(
            f"{path}: holds other rows of that day. Import the day as a whole with --date {day}, or remove the folder."
        )
    return True
