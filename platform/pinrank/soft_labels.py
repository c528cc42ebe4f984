"""Grades that a model gave (SOFT_LABELS), whatever model: where they lie, their logits, and whether they still say
something.

A folder of soft labels holds one job's rows, or one folder a day (date=2026-05-04/), each with one job's.

Letters: N pairs, 5 levels.
"""

import datetime
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.faults import Fault, fault, repeated_keys
from pinrank.levels import NUM_LEVELS
from pinrank.parquet import holds_rows, subfolders
from pinrank.tables import SOFT_LABELS, read

DAY = "date="
"""How the name of a day's folder begins; the day follows as ISO 8601."""

_DAY_FOLDER = re.compile(rf"{DAY}\d{{4}}-\d\d-\d\d")


def day_folder(day: datetime.date) -> str:
    """The name of a day's folder."""
    return f"{DAY}{day.isoformat()}"


def label_folders(path: str) -> list[str]:
    """The folders of the days that hold labels, from the earliest; the folder itself where it has no such days."""
    days = sorted(name for name in subfolders(path) if _DAY_FOLDER.fullmatch(name))
    return [f"{path}/{day}" for day in days if holds_rows(f"{path}/{day}")] or [path]


def read_labels(path: str) -> pa.Table:
    """SOFT_LABELS of one job, or of all days in a folder; of a pair that was labelled on several, the latest day's row.

    Days in which nothing is committed yet are passed over. Raises TableError as tables.read does.
    """
    labels = pa.concat_tables([read(folder, SOFT_LABELS) for folder in reversed(label_folders(path))])
    older = repeated_keys(labels, SOFT_LABELS.key)
    if not older:
        return labels
    keep_N = np.ones(labels.num_rows, dtype=bool)
    keep_N[older[0].rows] = False
    return labels.filter(pa.array(keep_N))


def unusable_labels(soft_labels: pa.Table, pin_text: pa.Table) -> list[Fault]:
    """The grades (SOFT_LABELS) that say nothing of a pair as it is now: no text, another text, logits that are none."""
    place, known = places(soft_labels["pin_id"], pin_text)
    fingerprints = np.asarray(pin_text["fingerprint"].to_pylist(), dtype=object)
    read = np.asarray(soft_labels["fingerprint"].to_pylist(), dtype=object)
    changed = known & (fingerprints[place] != read) if len(fingerprints) else np.zeros(len(read), dtype=bool)
    broken = ~np.isfinite(logits_of(soft_labels)).all(axis=1)
    return [
        *fault("pin_id", "names a pin without a row in pin_text", "Run build_pin_text on the same pins.", ~known),
        *fault("fingerprint", "differs from the pin's text of today", "Run label_impressions again.", changed),
        *fault("logits", "has a value that is not finite", "Run label_impressions again.", broken),
    ]


def logits_of(soft_labels: pa.Table) -> NDArray[np.float32]:
    """The logits of SOFT_LABELS, float32[N, 5]."""
    flat = soft_labels["logits"].combine_chunks().flatten()
    return np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float32).reshape(-1, NUM_LEVELS)


def places(pin_ids: pa.ChunkedArray, pin_text: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The row of each pin in pin_text, and whether it has one."""
    found = pc.index_in(pin_ids, value_set=pin_text["pin_id"].combine_chunks())
    known = np.asarray(pc.is_valid(found).to_numpy(), dtype=bool)
    return pc.fill_null(found, 0).to_numpy().astype(np.int64), known
