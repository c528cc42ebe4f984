"""pinrank.teacher.overrides: one teacher's settings as another's with a few changes."""

import pytest

from pinrank.errors import SettingsError
from pinrank.teacher.overrides import overridden
from pinrank.teacher.settings import HeadSettings, LoraSettings, TeacherSettings
from pinrank.text import FieldBudgets, TextSettings

BASE = TeacherSettings(
    epochs=5, text=TextSettings(budgets=FieldBudgets(title=9), max_tokens=64), head=HeadSettings(hidden=(8, 8))
)


def test_changes_reach_into_what_is_nested_and_leave_the_rest() -> None:
    found = overridden(BASE, {"backbone": "other", "text": {"budgets": {"caption": 3}}, "head": {"hidden": [4]}})
    budgets = BASE.text.budgets.model_copy(update={"caption": 3})
    assert found == BASE.model_copy(
        update={
            "backbone": "other",
            "text": BASE.text.model_copy(update={"budgets": budgets}),
            "head": HeadSettings(hidden=(4,)),
        }
    )
    assert overridden(BASE, {}) == BASE


def test_adapters_are_switched_on_and_off() -> None:
    with_lora = overridden(BASE, {"lora": {"rank": 4}})
    assert with_lora.lora == LoraSettings(rank=4)
    assert overridden(with_lora, {"lora": {"alpha": 1.0}}).lora == LoraSettings(rank=4, alpha=1.0)
    assert overridden(with_lora, {"lora": None}).lora is None


def test_what_is_misspelt_or_out_of_range_is_named() -> None:
    with pytest.raises(SettingsError, match=r"text\.max_token: Extra inputs.*epochs: .*greater than or equal to 1"):
        overridden(BASE, {"text": {"max_token": 4}, "epochs": 0})
    with pytest.raises(SettingsError, match="layer_decay is for a backbone that is trained whole"):
        overridden(BASE, {"lora": {}, "layer_decay": 0.9})
