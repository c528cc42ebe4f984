"""The folder platform/ never stands in the way of the standard library's module platform."""

import platform
import subprocess
import sys
from pathlib import Path

ASK = "import platform, pinrank; print(platform.system(), pinrank.__name__)"


def test_the_folder_is_no_package(root: Path) -> None:
    assert (root / "platform").is_dir()
    assert not (root / "platform" / "__init__.py").exists()


def test_the_standard_module_is_found_under_pytest() -> None:
    assert platform.system() == "Linux" or platform.system() in ("Darwin", "Windows")
    assert platform.__file__.endswith("platform.py")


def test_the_standard_module_is_found_from_the_root(root: Path) -> None:
    asked = subprocess.run([sys.executable, "-c", ASK], cwd=root, capture_output=True, text=True, check=True)
    assert asked.stdout.split() == [platform.system(), "pinrank"]
