"""A replica that starts later must not serve another student than the graph was bound for."""

from pinrank.errors import ModelError
from pinrank.student.export import CUT, StudentBundle, open_student


def open_bound(folder: str, bound: str) -> StudentBundle:
    """Open the student that the application was deployed with, cut as the pin store's rows are."""
    opened = open_student(folder)
    refuse_other(opened.version, bound.partition(CUT)[0], folder)
    return opened.as_version(bound)


def refuse_other(opened: str, bound: str, folder: str) -> None:
    """Raise ModelError when a folder now holds another student than when the application was deployed."""
    if opened != bound:
        raise ModelError(
            f"{folder}: holds {opened} now, the application was deployed with {bound}. Deploy it again: a folder that "
            "is replaced under a running service would mix two students."
        )
