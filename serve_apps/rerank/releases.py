"""Where the student and the pin store of a version lie, and how a replica opens them.

Without a registry there is one version, the one that the application was deployed with, in the two folders of the
settings; with a registry every version is a release (pinrank.release).
"""

import logging
from collections.abc import Callable
from pathlib import Path

from pinrank import registry as bundles
from pinrank.embeddings.store import PinStore, read_manifest
from pinrank.errors import PinrankError
from pinrank.release import folders_of
from pinrank.student.export import StudentBundle, open_student, read_card
from pinrank.student.features import FeatureSpec
from pinrank.student.onnx import chosen_form
from serve_apps.rerank.one_student import open_bound, refuse_other
from serve_apps.rerank.settings import RerankSettings

log = logging.getLogger("ray.serve")


def open_version(settings: RerankSettings, version: str) -> StudentBundle:
    """The student of a version, cut as its pin store's rows are. Raises ModelError or StoreCorrupt."""
    student, pin_store = folders(settings, version)
    form = chosen_form(student, settings.query_tower)
    if settings.registry is None:
        return open_bound(str(student), version).with_query_form(form)
    return open_student(student).as_version(read_manifest(pin_store).student_version).with_query_form(form)


def open_pins(settings: RerankSettings, version: str) -> PinStore:
    """The pin store of a version. Raises StoreCorrupt, or ModelError when it is another student's by now."""
    _, pin_store = folders(settings, version)
    store = PinStore.open(pin_store, verify=settings.registry is not None and settings.verify_releases)
    if settings.registry is None:
        refuse_other(store.student_version, version, str(pin_store))
    return store


def open_spec(settings: RerankSettings, version: str) -> FeatureSpec:
    """What the student of a version knows of features. Raises ModelError."""
    return FeatureSpec.open(folders(settings, version)[0])


def vector_widths(settings: RerankSettings, version: str) -> tuple[int, ...]:
    """The widths that the vectors of a version's student may be cut to, and their own. Raises ModelError."""
    card = read_card(folders(settings, version)[0])
    return (*card.dims, card.vector_dim)


def first_version(settings: RerankSettings, bound: str, open_all: Callable[[str], object]) -> str:
    """The version that a replica starts with: the bound one, or by now a newer one of the registry, if it opens.

    Raises what opening the oldest of them raises when none does.
    """
    if settings.registry is None:
        open_all(bound)
        return bound
    registry = Path(settings.registry)
    current = bundles.current(registry)
    newest_first = [*([current.bundle] if current else []), *reversed(bundles.promoted(registry)), bound]
    for version in dict.fromkeys(newest_first[:-1]):
        try:
            open_all(version)
            return version
        except (PinrankError, OSError) as cause:
            log.error("release %s is refused at the start: %s", version, cause)
    open_all(bound)
    return bound


def folders(settings: RerankSettings, version: str) -> tuple[Path, Path]:
    """The folders of a version's student and pin store."""
    if settings.registry is None:
        return Path(settings.student), Path(settings.pin_store)
    return folders_of(Path(settings.registry), version)
