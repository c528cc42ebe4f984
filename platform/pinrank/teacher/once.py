"""Training a teacher unless its folder already holds the one that would come out."""

import logging
from typing import Any

import pyarrow as pa

from pinrank.errors import ModelError
from pinrank.teacher.card import TeacherCard, read_card
from pinrank.teacher.settings import TeacherSettings
from pinrank.teacher.train import identity_of, train

log = logging.getLogger(__name__)

IDENTITY = "identity"
"""The key in a teacher's lineage under which it says what decided its weights."""


def train_once(
    examples: pa.Table, settings: TeacherSettings, name: str, folder: str, lineage: dict[str, Any]
) -> tuple[TeacherCard, bool]:
    """The teacher's card, and whether it was trained now; the same run was already done when it was not.

    As pinrank.teacher.train.train, which it calls, it goes on where a killed run stopped.
    """
    identity = identity_of(examples, settings, name)
    if is_done(folder, identity):
        log.info("%s: already trained under these settings", name)
        return read_card(folder), False
    return train(examples, settings, name, folder, {**lineage, IDENTITY: identity}), True


def is_done(folder: str, identity: str) -> bool:
    """Whether the folder holds the teacher that a run of this identity publishes."""
    try:
        return read_card(folder).lineage.get(IDENTITY) == identity
    except ModelError:  # none, or one that another version wrote: it is trained again
        return False
