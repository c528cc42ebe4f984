"""One teacher's settings as another's with a few changes."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pinrank.errors import SettingsError
from pinrank.teacher.settings import TeacherSettings


def overridden(settings: TeacherSettings, changes: Mapping[str, Any]) -> TeacherSettings:
    """The settings with nested changes over them, e.g. {"backbone": "bert", "text": {"max_tokens": 96}}.

    Raises SettingsError that names every change which is misspelt or out of range.
    """
    try:
        return TeacherSettings.model_validate(_over(settings.model_dump(), changes))
    except ValidationError as cause:
        problems = (f"{'.'.join(map(str, error['loc'])) or 'teacher'}: {error['msg']}" for error in cause.errors())
        raise SettingsError("; ".join(problems)) from cause


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values of `above` over those of `below`; where both are mappings, key by key."""
    merged = dict(below)
    for name, value in above.items():
        known = below.get(name)
        merged[name] = _over(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged
