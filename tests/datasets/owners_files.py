"""The public sources as their owners have them, a few rows each."""

from pathlib import Path

from pinrank.datasets.fetch import SOURCES
from tests.datasets import test_chorus, test_commons, test_cxc, test_ptimage
from tests.datasets.file_server import COMMIT, Host

WRITERS = {
    "commons": test_commons.write,
    "cxc": test_cxc.write,
    "chorus": test_chorus.write,
    "ptimage": test_ptimage.write,
}


def hosted(folder: Path) -> Host:
    """All files of all sources, written under `folder`, at the commits that are pinned."""
    files, commits = {}, {}
    for source in SOURCES.values():
        written = WRITERS[source.folder](folder / source.folder)
        for pinned in source.files:
            files[f"{pinned.repository}/{pinned.path}"] = (written / pinned.path).read_bytes()
            commits[pinned.repository] = pinned.commit + COMMIT[len(pinned.commit) :]
    return Host(files, commits)
