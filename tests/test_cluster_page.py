"""The commands of docs/cluster.md, copied from the page and run as they stand."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinrank import tables

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ALONE = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""Namespaces of its own: the page's ports are free, `ray stop` ends no other Ray, and nothing outlives the shell."""

TIMEOUT_S = 420


def commands(page: str, section: str) -> str:
    """The commands under a heading of a page."""
    (block,) = re.findall(
        r"```console\n(.*?)```", page.partition(f"\n## {section}\n")[2].partition("\n## ")[0], re.DOTALL
    )
    return str(block)


@pytest.fixture
def checkout(root: Path, tmp_path: Path, tiny_teacher_dir: Path) -> Path:
    """A copy of the repository after `make demo`, as far as the page needs it: environment and teacher."""
    checkout = tmp_path / "checkout"
    kept_out = shutil.ignore_patterns(".git", ".venv", "runs", "site", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(root, checkout, ignore=kept_out)
    (checkout / ".venv").symlink_to(Path(sys.executable).parent.parent)
    shutil.copytree(tiny_teacher_dir, checkout / "runs/demo/teacher")
    return checkout


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """For Ray's sockets, whose paths must be short."""
    with tempfile.TemporaryDirectory(prefix="pinrank-page-", dir="/tmp") as folder:
        yield Path(folder)


def test_the_pages_commands_end_in_a_thousand_labels(checkout: Path, short_folder: Path, tmp_path: Path) -> None:
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets no user make namespaces (unshare)")
    told = commands((checkout / "docs/cluster.md").read_text(), "On one machine")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_") and name != "PYTHONPATH"}
    environment = kept | {"HOME": str(tmp_path), "RAY_TMPDIR": str(short_folder), "RAY_worker_niceness": "0"}
    script = f"set -euo pipefail\nip link set lo up\n{told}"
    done = subprocess.run(
        [*ALONE, "bash", "-c", script],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summaries = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    job = summaries[-1]
    assert (job["name"], job["rows_in"], job["rows_out"], job["quarantined"]) == ("label_impressions", 1000, 999, 1)
    labels = tables.read(str(checkout / "runs/cluster/soft_labels"), tables.SOFT_LABELS)
    assert labels.num_rows == 999
    assert "succeeded" in done.stdout
