"""pinrank.teacher.once: a teacher is trained again when something that decides it is other, and only then."""

from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.model_card import CARD
from pinrank.teacher.card import TeacherCard
from pinrank.teacher.once import IDENTITY, is_done
from pinrank.teacher.settings import HeadSettings, TeacherSettings
from pinrank.teacher.train import identity_of
from pinrank.text import TextSettings

EXAMPLES = pa.table({"query": ["a", "b"], "level": pa.array([1, 5], pa.int8())})
SETTINGS = TeacherSettings()
OTHERS = [
    (EXAMPLES.slice(1), SETTINGS, "one"),
    (EXAMPLES.set_column(1, "level", pa.array([1, 4], pa.int8())), SETTINGS, "one"),
    (EXAMPLES, SETTINGS.model_copy(update={"epochs": 3}), "one"),
    (EXAMPLES, SETTINGS, "two"),
]


def test_the_same_run_has_the_same_identity_however_its_rows_are_chunked() -> None:
    chunked = pa.concat_tables([EXAMPLES.slice(0, 1), EXAMPLES.slice(1)])
    assert identity_of(chunked, SETTINGS, "one") == identity_of(EXAMPLES, SETTINGS, "one")


@pytest.mark.parametrize(("examples", "settings", "name"), OTHERS)
def test_other_pairs_settings_or_names_make_another_run(
    examples: pa.Table, settings: TeacherSettings, name: str
) -> None:
    assert identity_of(examples, settings, name) != identity_of(EXAMPLES, SETTINGS, "one")


def test_a_folder_is_done_when_its_card_names_the_run(tmp_path: Path) -> None:
    assert not is_done(str(tmp_path), "abc")
    card = TeacherCard(
        version="one@12345678",
        backbone="bert",
        pooling="first",
        head=HeadSettings(),
        text=TextSettings(),
        metrics={},
        lineage={IDENTITY: "abc"},
    )
    (tmp_path / CARD).write_text(card.model_dump_json())
    assert is_done(str(tmp_path), "abc") and not is_done(str(tmp_path), "abd")
    (tmp_path / CARD).write_text('{"written": "by another version"}')
    assert not is_done(str(tmp_path), "abc")
