"""The layouts in which folders of judgments come: pinrank's tidy form, and those of the data sets' owners.

An owner's layout is a file of this folder with its files, its grades as levels and its licence; the data set itself is
not part of pinrank: its user downloads it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pyarrow import fs as pafs

from pinrank.datasets import crowdflower, esci, home_depot, wands
from pinrank.datasets.delimited import header
from pinrank.datasets.tidy_form import FORM, Tidy
from pinrank.errors import TableError
from pinrank.parquet import exists, filesystem_of

TIDY = "tidy"
Name = Literal["auto", "tidy", "esci", "wands", "home_depot", "crowdflower"]


@dataclass(frozen=True)
class Layout:
    """An owner's layout: the files by which it is known, in one of `folders` under the one that was named."""

    name: str
    title: str
    licence: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    levels: Mapping[str, int]
    read: Callable[[str], Tidy]
    marks: tuple[str, ...] = ()
    """Columns that the first file must have, for layouts whose files other layouts also have."""


LAYOUTS = (
    Layout("esci", "Amazon Shopping Queries", esci.LICENCE, esci.FILES, esci.FOLDERS, esci.LEVELS, esci.read),
    Layout("wands", "Wayfair WANDS", wands.LICENCE, wands.FILES, wands.FOLDERS, wands.LEVELS, wands.read),
    Layout(
        "home_depot",
        "Home Depot search relevance",
        home_depot.LICENCE,
        home_depot.FILES,
        home_depot.FOLDERS,
        home_depot.LEVELS,
        home_depot.read,
        home_depot.TRAIN,
    ),
    Layout(
        "crowdflower",
        "CrowdFlower search relevance",
        crowdflower.LICENCE,
        crowdflower.FILES,
        crowdflower.FOLDERS,
        crowdflower.LEVELS,
        crowdflower.read,
        crowdflower.TRAIN,
    ),
)


def find(folder: str, name: Name = "auto") -> tuple[Layout, str] | None:
    """The owner's layout that a folder has and the folder that holds its files; None for the tidy form.

    "auto" looks at the files. Raises TableError, which lists what is there and what each layout needs, when the folder
    has none of them, or not the one that was named.
    """
    if name == TIDY or (name == "auto" and (not exists(folder) or _has_tidy_files(folder))):
        return None
    for layout in LAYOUTS:
        if name in ("auto", layout.name) and (inner := _where(folder, layout)) is not None:
            return layout, inner
    raise TableError(_unknown(folder, name))


def _has_tidy_files(folder: str) -> bool:
    return any(exists(f"{folder}/{file.name}.parquet") for file in FORM)


def _where(folder: str, layout: Layout) -> str | None:
    for under in layout.folders:
        inner = f"{folder}/{under}" if under else folder
        if all(exists(f"{inner}/{name}") for name in layout.files) and (
            not layout.marks or set(layout.marks) <= set(header(f"{inner}/{layout.files[0]}", encoding="latin-1"))
        ):
            return inner
    return None


def _unknown(folder: str, name: str) -> str:
    wanted = [layout for layout in LAYOUTS if name in ("auto", layout.name)]
    needs = "; ".join(
        f"{layout.name} needs {', '.join(layout.files)}"
        + (f" with the columns {', '.join(layout.marks)}" if layout.marks else "")
        for layout in wanted
    )
    tidy = f"{TIDY} needs {', '.join(f'{file.name}.parquet' for file in FORM)}; " if name == "auto" else ""
    problem = "holds the files of no known layout" if name == "auto" else f"does not have the layout {name}"
    return f"{folder}: {problem}; it has {_listing(folder)}. {tidy}{needs}. Unpack what you downloaded, or fix --data."


def _listing(folder: str) -> str:
    filesystem, inner = filesystem_of(folder)
    found = filesystem.get_file_info(pafs.FileSelector(inner, allow_not_found=True))
    names = sorted(each.base_name for each in found)
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "") or "nothing"
