"""Where the student and the pin store of a version lie, and how a replica opens them.

Without a registry there is one version, the one that the application was deployed with, in the two folders of the
settings; with a registry every version is a release (pinrank.release).
"""

from pathlib import Path

from pinrank.embeddings.store import PinStore
from pinrank.release import folders_of
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.features import FeatureSpec
from serve_apps.rerank.one_student import open_bound, refuse_other
from serve_apps.rerank.settings import RerankSettings


def open_version(settings: RerankSettings, version: str) -> StudentBundle:
    """The student of a version, cut as its pin store's rows are. Raises ModelError or StoreCorrupt."""
    student, pin_store = folders(settings, version)
    if settings.registry is None:
        return open_bound(str(student), version)
    return open_student(student).as_version(PinStore.open(pin_store, verify=False).student_version)


def open_pins(settings: RerankSettings, version: str) -> PinStore:
    """The pin store of a version. Raises StoreCorrupt, or ModelError when it is another student's by now."""
    _, pin_store = folders(settings, version)
    store = PinStore.open(pin_store)
    if settings.registry is None:
        refuse_other(store.student_version, version, str(pin_store))
    return store


def open_spec(settings: RerankSettings, version: str) -> FeatureSpec:
    """What the student of a version knows of features. Raises ModelError."""
    return FeatureSpec.open(folders(settings, version)[0])


def folders(settings: RerankSettings, version: str) -> tuple[Path, Path]:
    """The folders of a version's student and pin store."""
    if settings.registry is None:
        return Path(settings.student), Path(settings.pin_store)
    return folders_of(Path(settings.registry), version)
