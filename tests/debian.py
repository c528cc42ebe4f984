"""Programs of Debian packages that some tests start; `make tools` installs them."""

import os
import shutil

import pytest


def program(name: str, package: str) -> str:
    """The program's path. Without it a test is skipped with the mend, and in CI, where `make tools` ran, it fails."""
    path = shutil.which(name)
    if path is None:
        missing = f"{name} is not there: sudo apt-get install {package}, or make tools as root"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return path
