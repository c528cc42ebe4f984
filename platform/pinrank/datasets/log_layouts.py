"""The layouts in which folders with a log of searches come."""

from collections.abc import Callable, Mapping
from typing import Literal

from pinrank.datasets import ubi, ubi_files, unsplash
from pinrank.datasets.search_log import SearchLog
from pinrank.errors import TableError

Name = Literal["auto", "ubi", "unsplash"]

_IS: Mapping[str, Callable[[str], bool]] = {
    "ubi": lambda folder: bool(ubi_files.files_of(folder)),
    "unsplash": lambda folder: bool(unsplash.files_of(folder, "photos") and unsplash.files_of(folder, "conversions")),
}
LICENCES = {"ubi": ubi.LICENCE, "unsplash": unsplash.LICENCE}


def find(folder: str, name: Name = "auto") -> str:
    """The layout of a folder; TableError, which says what each needs, when it has none, or another than was named."""
    for layout, is_here in _IS.items():
        if name in ("auto", layout) and is_here(folder):
            return layout
    wanted = "" if name == "auto" else f" in the layout {name}"
    raise TableError(
        f"{folder}: holds no log of searches{wanted}. ubi needs ubi_queries* and ubi_events* (.ndjson, .jsonl, .json, "
        ".parquet); unsplash needs photos.tsv000 and conversions.tsv000. Fix --data."
    )


def read(folder: str, layout: str, locale: str, actions: Mapping[str, str] | None) -> SearchLog:
    """Read a folder in a layout that `find` found; locale and actions: of UBI, which does not say the one."""
    return unsplash.read(folder) if layout == "unsplash" else ubi.read(folder, locale=locale, actions=actions)
