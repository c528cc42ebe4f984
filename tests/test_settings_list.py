"""The reference of settings: every one, with what it is, its default and why it is there."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from pinrank.settings_list import Setting, as_markdown, settings_of
from serve_apps.rerank.settings import RerankSettings
from tests.made_pages import jobs, pages

ALL: dict[str, type[BaseModel]] = {**jobs(), "the service": RerankSettings}


class Tower(BaseModel):
    """A model in another."""

    dims: tuple[int, ...] = Field((64, 32), description="widths")


class Some(BaseModel):
    """Settings of every kind."""

    folder: Path = Field(description="where")
    kind: Literal["a", "b"] | None = Field(None, description="which")
    tower: Tower = Tower()
    weights: dict[str, float] = Field({}, description="by name")
    bounds: tuple[int, int] = Field((1, 2), description="least and most")


def test_settings_are_listed_flat_with_kind_and_default() -> None:
    assert list(settings_of(Some)) == [
        Setting("folder", "path", None, "where"),
        Setting("kind", "a or b or null", "null", "which"),
        Setting("tower.dims", "list of whole number", "[64, 32]", "widths"),
        Setting("weights", "number by text", "{}", "by name"),
        Setting("bounds", "[whole number, whole number]", "[1, 2]", "least and most"),
    ]
    assert "| `folder` | path | must be given | where |" in as_markdown(Some)


def test_every_pipeline_has_settings(root: Path) -> None:
    assert set(jobs()) == {path.stem for path in (root / "pipelines").glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("name", ALL)
def test_every_setting_says_what_it_is_for(name: str) -> None:
    assert [each.name for each in settings_of(ALL[name]) if not each.said] == []


def test_the_page_of_settings_has_them_all() -> None:
    page = pages().settings_page()
    for name, model in ALL.items():
        assert f"\n## {name[0].upper()}{name[1:]}\n" in page or f"\n## {name}\n" in page
        assert all(f"| `{each.name}` |" in page for each in settings_of(model))
