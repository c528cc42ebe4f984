"""The docs as a site."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    nowhere = {"NO_MKDOCS_2_WARNING": "1", "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    said = subprocess.run(command, cwd=root, env=os.environ | nowhere, capture_output=True, text=True, timeout=400)
    assert said.returncode == 0, said.stdout + said.stderr
    for page in ("quickstart", "settings", "security", "operate", "reference/teacher", "decisions"):
        text = (tmp_path / "site" / page / "index.html").read_text()
        assert "<h1" in text and "fonts.googleapis" not in text
