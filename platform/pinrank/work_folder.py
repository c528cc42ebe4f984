"""A folder for what a job writes on the way and nobody needs afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pinrank.durable import exclusive


@contextmanager
def work_folder(path: Path | None) -> Iterator[Path]:
    """An empty folder until the block ends: under `path`, which one job uses at a time, or a temporary one (None).

    Raises CommitError when another job uses it, or it cannot be written.
    """
    if path is None:
        with tempfile.TemporaryDirectory(prefix="pinrank-") as temporary:
            yield Path(temporary)
        return
    with exclusive(path / ".lock"):
        folder = path / "partitions"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
