"""The docs say what the code does."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from pinrank.cluster import ClusterSettings
from pinrank.datasets.fetch import SOURCES, Source
from pinrank.datasets.layouts import LAYOUTS, Layout
from pinrank.datasets.world import WorldSettings
from pinrank.engagement.log_evidence import LogSettings
from pinrank.search_embedding.settings import PairSettings
from pinrank.student.declaration import Categorical, Declaration, External, Numeric, SideColumns
from pinrank.student.settings import StudentSettings
from pinrank.tables import TABLES, Table
from pinrank.text import TextSettings
from pinrank.tracking import TrackingSettings
from pipelines.ablate_features import AblateFeatures
from pipelines.build_pin_text import BuildPinText
from pipelines.daily import Daily
from pipelines.embed_texts import EmbedTexts
from pipelines.evaluate_representations import EvaluateRepresentations
from pipelines.fit_lexical import FitLexical
from pipelines.grade_served import GradeServed
from pipelines.label_impressions import LabelImpressions
from pipelines.pair_near_pins import PairNearPins
from pipelines.sample_impressions import SampleImpressions
from pipelines.scale_labels import ScaleLabels
from pipelines.share_grades import ShareGrades
from pipelines.train_graph_embedding import TrainGraphEmbedding
from pipelines.train_search_embedding import TrainSearchEmbedding
from pipelines.train_student import TrainStudent
from serve_apps.rerank.served_settings import ServedLogSettings
from serve_apps.rerank.settings import RerankSettings


def section(page: str, name: str) -> str:
    """The part of a Markdown page under one second-level heading."""
    return re.split(r"^## ", page.partition(f"\n## {name}\n")[2], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_documented_under_its_table(table: Table, root: Path):
    documented = set(re.findall(r"`(\w+)`", section((root / "docs/tables.md").read_text(), table.name)))
    assert set(table.schema.names) <= documented


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_required_columns_are_set_in_bold(table: Table, root: Path):
    bold = set(re.findall(r"\*\*`(\w+)`\*\*", section((root / "docs/tables.md").read_text(), table.name)))
    assert bold == set(table.required)


def test_links_between_pages_lead_somewhere(root: Path):
    for page in [root / "README.md", *(root / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(root)} links to {target}"


def test_every_pipeline_has_settings_for_both_profiles(root: Path):
    names = {path.stem for path in (root / "pipelines").glob("*.py")} - {"__init__", "demo"}
    for profile in ("demo", "full"):
        assert {path.stem for path in (root / "pipelines/configs" / profile).glob("*.yaml")} == names


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_every_fetched_source_is_documented_with_its_repositories_and_commits(source: Source, root: Path):
    page = section((root / "docs/data.md").read_text(), "Fetched")
    assert f"`{source.name}`" in page
    assert all(f"{pinned.repository} @{pinned.commit[:7]}" in page for pinned in source.files)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_is_documented_with_its_licence_and_the_map_of_its_grades(layout: Layout, root: Path):
    page = (root / "docs/data.md").read_text()
    assert len(re.findall(rf"^\| `{layout.name}` \|", page, flags=re.MULTILINE)) == 3
    assert f"- **{layout.name}**:" in section(page, "Data sets in their owners' layouts")


def names_of(model: type[BaseModel]) -> set[str]:
    """The names of all settings of a model, those of the models in it too."""
    names = set()
    for name, field in model.model_fields.items():
        names.add(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= names_of(field.annotation) if field.annotation is not ClusterSettings else set()
    return names


def said_in(page: str) -> set[str]:
    """The words of a Markdown page that are set as code."""
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    return set(re.findall(r"\w+", " ".join(inline))) | set(re.findall(r"--(\w+)", page))


TRACKING = {"tracking", *names_of(TrackingSettings)}


def test_every_setting_of_the_tracking_is_documented(root: Path):
    assert said_in((root / "docs/operate.md").read_text()) >= TRACKING


def test_everything_that_a_feature_spec_may_say_is_documented(root: Path):
    page = (root / "docs/student-features.md").read_text()
    models = (Declaration, SideColumns, External, Categorical, Numeric)
    assert set().union(*(model.model_fields for model in models)) <= set(re.findall(r"\w+", page))


def test_every_setting_of_a_generated_world_is_documented(root: Path):
    page = section((root / "docs/data.md").read_text(), "Without any")
    assert set(WorldSettings.model_fields) <= set(re.findall(r"`(?:world\.)?(\w+)`", page))


def test_every_setting_of_labelling_is_documented(root: Path):
    of_jobs = names_of(LabelImpressions) | names_of(PairNearPins) | names_of(ShareGrades)
    elsewhere = names_of(TextSettings) | {"cluster", "text"}
    assert of_jobs - elsewhere <= said_in((root / "docs/labelling.md").read_text())


@pytest.mark.parametrize("job", [BuildPinText, SampleImpressions])
def test_every_setting_of_the_data_plane_is_documented(job: type[BaseModel], root: Path):
    groups = {"words", "strata", "rates", "guarantees", "active", "rows", "boilerplate", "weights"}
    said = said_in((root / "docs/data-plane.md").read_text())
    assert names_of(job) - groups - {"click", "long_click", "save"} <= said


@pytest.mark.parametrize("job", [TrainSearchEmbedding, TrainGraphEmbedding])
def test_every_setting_of_the_embeddings_is_documented(job: type[BaseModel], root: Path):
    elsewhere = names_of(TextSettings) | {"click", "long_click", "save"} | TRACKING
    assert names_of(job) - elsewhere <= said_in((root / "docs/embeddings.md").read_text())


@pytest.mark.parametrize("job", [EmbedTexts, EvaluateRepresentations])
def test_every_setting_of_the_representations_is_documented(job: type[BaseModel], root: Path):
    elsewhere = names_of(TextSettings) | names_of(LogSettings)
    assert names_of(job) - elsewhere <= said_in((root / "docs/representations.md").read_text())


def test_every_setting_of_the_students_training_is_documented(root: Path):
    elsewhere = names_of(TextSettings) | names_of(LogSettings) | names_of(PairSettings) | {"cluster"} | TRACKING
    assert names_of(TrainStudent) - elsewhere <= said_in((root / "docs/student.md").read_text())


@pytest.mark.parametrize("job", [ScaleLabels, AblateFeatures])
def test_every_setting_of_the_jobs_that_compare_students_is_documented(job: type[BaseModel], root: Path):
    elsewhere = names_of(StudentSettings) | {"tables", "student", "cluster"}
    assert names_of(job) - elsewhere <= said_in((root / "docs/reports.md").read_text())


def test_every_setting_of_the_lexical_statistics_is_documented(root: Path):
    assert names_of(FitLexical) - {"cluster"} <= said_in((root / "docs/lexical.md").read_text())


def test_every_setting_of_the_daily_loop_is_documented(root: Path):
    page = (root / "docs/daily.md").read_text()
    documented = set(re.findall(r"`(\w+)`", section(page, "One root")))
    assert set(Daily.model_fields) <= documented


def test_every_setting_of_the_shadow_teacher_is_documented(root: Path):
    page = said_in((root / "docs/shadow-teacher.md").read_text())
    elsewhere = names_of(LabelImpressions) - {"tables", "teacher", "output", "date", "max_quarantined_share"}
    assert names_of(ServedLogSettings) | (names_of(GradeServed) - elsewhere) <= page


def test_every_setting_of_the_service_is_documented(root: Path):
    assert set(RerankSettings.model_fields) <= set(re.findall(r"`(\w+)`", (root / "docs/serve.md").read_text()))
