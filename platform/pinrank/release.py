"""A release: a student and the pin store that holds its rows, published together as one bundle of a registry.

    REGISTRY/bundles/NAME-HASH@STORE/
      card.json     the release's version, the student's, and how many pins
      student/      as train_student wrote it
      pin_store/    as embed_pins wrote it

    bundle = publish(registry, Path("runs/mine/student"), Path("runs/mine/pin_store"))
    registry.promote(registry, bundle.version, "not worse on dev")

The version names both: NAME-HASH is the student's NAME@HASH (and its width where it is cut), STORE the
snapshot's. So a store that is made anew for the same student is another release.
"""

import shutil
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pinrank import registry as bundles
from pinrank.durable import write_text
from pinrank.embeddings.store import PinStore
from pinrank.errors import ModelError, StoreCorrupt
from pinrank.model_card import CARD
from pinrank.registry import Bundle, bundle_path
from pinrank.student.export import CUT, open_student

STUDENT, PIN_STORE = "student", "pin_store"


class ReleaseCard(BaseModel):
    """What card.json of a release says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(description="of the release")
    student: str = Field(description="version of the student, cut as the store's rows are")
    num_pins: int


def publish(registry: Path, student: Path, pin_store: Path) -> Bundle:
    """Copy a student and its pin store into the registry as one release; what is current stays so.

    Raises ModelError or StoreCorrupt when one of them is damaged, or changes meanwhile, or the store holds another
    student's rows.
    """
    card = card_of(student, pin_store)
    registry.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=registry) as folder:
        joined = Path(folder) / "release"
        shutil.copytree(student, joined / STUDENT)
        shutil.copytree(pin_store, joined / PIN_STORE)
        require_unchanged(joined, card, student, pin_store)
        write_text(joined / CARD, card.model_dump_json(indent=1) + "\n")
        return bundles.add(registry, joined, {"student": card.student, "num_pins": card.num_pins})


def card_of(student: Path, pin_store: Path) -> ReleaseCard:
    """The card of a release of these two, every file of which is read. Raises as `publish` does."""
    store = PinStore.open(pin_store, verify=True)
    opened = open_student(student, thorough=True)
    require_of_one_student(opened.version, store.student_version, student, pin_store)
    name = store.student_version.replace("@", "-").replace(CUT, "-")
    return ReleaseCard(version=f"{name}@{store.snapshot[:8]}", student=store.student_version, num_pins=len(store))


def require_unchanged(joined: Path, card: ReleaseCard, student: Path, pin_store: Path) -> None:
    """Raise ModelError when the copies are not what was read before: embed_pins may publish while a store is copied."""
    changed = f"{student} or {pin_store} changed while it was copied. Publish again."
    try:
        copied = card_of(joined / STUDENT, joined / PIN_STORE)
    except (ModelError, StoreCorrupt) as cause:
        raise ModelError(changed) from cause
    if copied != card:
        raise ModelError(changed)


def require_of_one_student(student_version: str, rows_of: str, student: Path, pin_store: Path) -> None:
    """Raise ModelError when a pin store holds rows of another student, cut or not, than the one given."""
    if rows_of.partition(CUT)[0] != student_version:
        raise ModelError(
            f"{pin_store}: the pin store holds rows of student {rows_of}, but {student} is {student_version}. Run "
            "embed_pins with this student, or give the folder of the other."
        )


def folders_of(registry: Path, version: str) -> tuple[Path, Path]:
    """The folders of a release's student and pin store."""
    folder = bundle_path(registry, version)
    return folder / STUDENT, folder / PIN_STORE
