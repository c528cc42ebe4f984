"""The pages that mkdocs makes, as tests read them."""

import functools
import importlib.util
from types import ModuleType

from pinrank.pipeline import JobSettings
from tests.conftest import ROOT


@functools.cache
def pages() -> ModuleType:
    """docs/made/pages.py, which is no package's."""
    spec = importlib.util.spec_from_file_location("made_pages", ROOT / "docs/made/pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def jobs() -> dict[str, type[JobSettings]]:
    """The settings of every pipeline by its name."""
    return dict(pages().jobs())
