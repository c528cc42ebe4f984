"""Rows that a job sets aside while its input streams by: a few are kept with their reasons, too many end the job."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pinrank.faults import Fault, refuse_too_many, split
from pinrank.parquet import remove_folder, write_folder

ADDED = "_"
"""How the names of columns begin that a job adds to its input's."""

NUMBER = f"{ADDED}row"
"""Column with a row's number, from 0 through the input's files in the order of their names (int64)."""


class BadRows:
    """The bad rows of one table."""

    def __init__(self, where: str, num_rows: int, max_share: float) -> None:
        self.where = where
        self.num_rows = num_rows
        self.max_share = max_share
        self.count = 0
        self._records: list[pa.Table] = []
        self._faults: dict[tuple[str, str], Fault] = {}

    def set_aside(self, rows: pa.Table, found: Sequence[Fault]) -> pa.Table:
        """The rows (with a column NUMBER) that are not at fault.

        Raises TableError as soon as more than the allowed share of all rows is.
        """
        if not found:
            return rows
        numbers_N = rows.column(NUMBER).to_numpy()
        at_fault_N = np.unique(np.concatenate([each.rows for each in found]))
        given = rows.select([name for name in rows.column_names if not name.startswith(ADDED)])
        _, record = split(given, found, self.where)
        self._records.append(record.set_column(1, "row", pa.array(numbers_N[at_fault_N])))
        self.count += len(at_fault_N)
        for each in found:
            self._add(each, numbers_N[each.rows])
        refuse_too_many([self._faults[key] for key in sorted(self._faults)], self.num_rows, self.max_share, self.where)
        keep_N = np.ones(rows.num_rows, dtype=bool)
        keep_N[at_fault_N] = False
        return rows.filter(pa.array(keep_N))

    def write(self, folder: str) -> None:
        """Write the bad rows in the order of the input, or remove what an earlier run left in the folder."""
        if self._records:
            write_folder(pa.concat_tables(self._records).sort_by("row"), folder)
        else:
            remove_folder(folder)

    def _add(self, each: Fault, rows_N: np.ndarray) -> None:
        key = (each.column, each.reason)
        before = self._faults.get(key)
        rows = rows_N if before is None else np.concatenate([before.rows, rows_N])
        self._faults[key] = Fault(each.column, each.reason, each.mend, np.sort(rows))
