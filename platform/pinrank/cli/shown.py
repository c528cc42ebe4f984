"""What a command says, for a person."""

import sys
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table


def show(title: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Rows as a table."""
    listed = list(rows)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in listed[0] if listed else ():
        table.add_column(column, overflow="fold")
    for row in listed:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table if listed else f"{title}: none", markup=False)
