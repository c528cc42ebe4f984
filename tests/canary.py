"""A file that is written when a stranger's code runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Canary:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return _write, (str(self.path), "alive")


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """The file that must not be there in the end."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code of a stranger ran"
