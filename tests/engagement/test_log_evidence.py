"""The evidence of a log for jobs that make no text of it."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.cluster import ClusterSettings
from pinrank.engagement.log_evidence import LogSettings, evidence_of_log
from pinrank.errors import TableError
from pinrank.tables import ENGAGEMENT, write
from tests.engagement.logged import log

ROWS = [(f"user {number % 7}", f"pin {number % 50}", "save", f"board {number % 3}") for number in range(400)]


def pins_of(evidence: pa.Table) -> pa.Table:
    """A unit's result: each pin with its rows of evidence."""
    return evidence.group_by("pin_id").aggregate([("user", "count")])


def counted(tables: Path, settings: LogSettings) -> list[dict[str, object]]:
    with evidence_of_log(str(tables), settings, str(tables / "quarantine"), ClusterSettings()) as evidence:
        return pa.concat_tables(evidence.each(pins_of)).sort_by("pin_id").to_pylist()


def test_a_pins_evidence_lies_in_one_partition_however_the_log_is_cut(tmp_path: Path):
    write(log(*ROWS), str(tmp_path / "engagement"), ENGAGEMENT)
    whole = counted(tmp_path, LogSettings())
    assert len(whole) == 50
    assert counted(tmp_path, LogSettings(rows={"rows_per_piece": 30, "rows_per_partition": 60})) == whole


def test_bad_rows_are_set_aside_and_counted(tmp_path: Path):
    rows = log(*ROWS, ("", "pin 1", "save", "board"))
    write(rows, str(tmp_path / "engagement"), ENGAGEMENT)
    given = partial(evidence_of_log, str(tmp_path), LogSettings(), str(tmp_path / "quarantine"), ClusterSettings())
    with given() as evidence:
        assert (evidence.report.rows, evidence.report.bad_rows) == (401, 1)
    assert (tmp_path / "quarantine").is_dir()


def test_a_log_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(TableError, match="there is no such file or folder for table 'engagement'"):
        counted(tmp_path, LogSettings())
