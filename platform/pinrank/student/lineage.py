"""Where a student comes from: what its bundle says so that it can be made again, and doubted."""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import pinrank
from pinrank.errors import CommitError, ModelError
from pinrank.keys import column_hashes, mixed
from pinrank.labeling.manifest import read_manifest
from pinrank.parquet import subfolders
from pinrank.shard_folder import MANIFEST
from pinrank.soft_labels import DAY
from pinrank.student.label_files import LabelFiles
from pinrank.teacher.card import read_card

GIT_TIMEOUT_S = 10.0


def lineage_of(labels: LabelFiles, judgments: pa.Table, teacher: str | None) -> dict[str, Any]:
    """The lineage of a student that learns from these labels and judgments.

    teacher: the folder of the teacher that graded, for its guideline where it is a judge; None: not known. Raises
    ModelError when that folder holds another teacher than the labels are of.
    """
    return {
        "teacher": list(labels.teachers),
        "guideline": guideline_of(teacher, labels.teachers) if teacher else None,
        "soft_labels": labels.where,
        "label_runs": [run for folder in labels.folders for run in label_runs(folder)],
        "sample": {"num_pairs": labels.num_rows, "hash": labels.stamp},
        "judgments": {
            "num_rows": judgments.num_rows,
            "hash": rows_hash(judgments, "judgment_id", "query", "pin_id", "level", "split"),
        },
        "code": code_version(),
    }


def guideline_of(teacher: str, versions: Sequence[str]) -> str | None:
    """The SHA-256 of the guideline by which a judge graded; None of a teacher that was trained."""
    card = read_card(teacher)
    if versions and card.version not in versions:
        raise ModelError(
            f"{teacher}: holds {card.version}, but the labels are of {', '.join(versions)}. Name the folder of the "
            "teacher that graded them, or leave --teacher out."
        )
    return card.lineage.get("guideline")


def label_runs(folder: str) -> list[dict[str, Any]]:
    """Teacher, settings hash and rows of each finished labelling job in a folder of soft labels, a day each or one."""
    days = sorted(name for name in subfolders(folder) if name.startswith(DAY)) if "://" not in folder else []
    places = [Path(folder, day) for day in days] or [Path(folder)]
    runs = []
    for place in (each for each in places if (each / MANIFEST).exists()):
        try:
            found = read_manifest(place)
        except CommitError as cause:
            raise ModelError(f"{place}: labels of unknown origin: {cause}") from cause
        named = {"day": place.name.removeprefix(DAY)} if days else {}
        runs.append({**named, "teacher": found.teacher, "settings_hash": found.settings_hash, "rows": found.rows})
    return runs


def rows_hash(table: pa.Table, *columns: str) -> str:
    """16 hex digits of some columns, in whatever order the rows lie."""
    rows_N = None
    for name in columns:
        values_N = column_hashes(table[name].cast(pa.string()))
        rows_N = values_N if rows_N is None else mixed(rows_N, values_N)
    total = 0 if rows_N is None else int(rows_N.sum(dtype="uint64"))
    return hashlib.blake2b(f"{table.num_rows} {total}".encode(), digest_size=8).hexdigest()


def code_version() -> dict[str, Any]:
    """pinrank's version; in a git checkout of it also the commit, and whether tracked files differ from it."""
    found: dict[str, Any] = {"pinrank": pinrank.__version__}
    here = Path(pinrank.__file__)
    if _git(here, "ls-files", "--error-unmatch", here.name) and (commit := _git(here, "rev-parse", "HEAD")):
        found |= {"commit": commit, "modified": bool(_git(here, "status", "--porcelain", "--untracked-files=no"))}
    return found


def _git(beside: Path, *arguments: str) -> str:
    """What git says, '' where there is no git or it refuses."""
    command = ["git", "-C", str(beside.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
