"""embed_texts and evaluate_representations on a small generated world with a log, with a student of random weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from pinrank.embeddings.external import open_external
from pinrank.errors import TableError
from pinrank.pipeline import parse
from pinrank.student.export import open_student
from pinrank.tables import JUDGMENTS, PIN_TEXT, read, write
from pipelines import evaluate_representations
from pipelines.build_pin_text import BuildPinText
from pipelines.build_pin_text import main as build_pin_text
from pipelines.embed_texts import EmbedTexts
from pipelines.embed_texts import main as embed_texts
from pipelines.evaluate_representations import EvaluateRepresentations
from pipelines.generate_world import GenerateWorld
from pipelines.generate_world import main as generate_world
from tests.serve_apps.shop import make_shop

WORLD = {"num_pins": 120, "num_users": 40, "num_queries": 40, "num_impressions": 4_000, "judged_per_query": 6}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    generate_world(GenerateWorld(output=str(folder), world=WORLD))
    build_pin_text(BuildPinText(tables=str(folder)))
    return folder


@pytest.fixture(scope="module")
def student(tiny_bert_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shop(tmp_path_factory.mktemp("shop"), tiny_bert_dir).student


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_queries_pins_and_boards_get_the_students_vectors(world: Path, student: Path, tmp_path: Path) -> None:
    settings = EmbedTexts(
        tables=str(world), student=student, output=tmp_path / "texts", encoding={"precision": "float32"}
    )
    done = embed_texts(settings)
    bundle = open_student(student)
    queries, pins, boards = (open_external(str(tmp_path / "texts" / name)) for name in ("queries", "pins", "boards"))
    assert {queries.name, pins.name, boards.name} == {bundle.version}
    assert done.rows_out == sum(len(each.ids) for each in (queries, pins, boards))
    assert len(pins.ids) == read(str(world / "pin_text"), PIN_TEXT).num_rows and len(boards.ids) > 5
    asked = queries.ids.to_pylist()[:5]
    np.testing.assert_allclose(queries.gather(asked)[0], bundle.encode_queries(asked), atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(boards.vectors_MD.astype(np.float32), axis=1), 1.0, atol=2e-3)
    assert (tmp_path / "texts/sentence_transformers/pin/modules.json").exists()
    card = json.loads((tmp_path / "texts/card.json").read_text())
    assert card["counts"]["boards"] == len(boards.ids) and card["version"] == bundle.version


def test_every_task_is_measured_against_the_frozen_encoder(
    world: Path, student: Path, tiny_bert_dir: Path, tmp_path: Path
) -> None:
    settings = EvaluateRepresentations(
        tables=str(world),
        student=student,
        frozen={"backbone": str(tiny_bert_dir)},
        output=tmp_path / "out",
        split="dev",
        at=(5,),
        max_groups=20,
        bootstrap={"num_resamples": 20},
    )
    done = evaluate_representations.main(settings)
    report = json.loads((tmp_path / "out/report-dev.json").read_text())
    names = [section["name"].partition(",")[0] for section in report["sections"]]
    assert names == done.details["tasks"] and names[-1] == "pins of one board"
    boards = report["sections"][-1]
    assert set(boards["figures"]) == {"student", "frozen"}
    assert set(boards["figures"]["student"]) == {"recall@5", "nDCG@5"}
    (contrast,) = boards["contrasts"]
    assert contrast["against"] == {"student": "frozen"} and boards["num_queries"] > 5
    assert any("generated" in note for note in report["notes"])
    page = (tmp_path / "out/report-dev.html").read_text()
    assert "recall@5" in page and "<svg" in page
    assert "sought items" in (tmp_path / "out/report-dev.md").read_text()


def test_nothing_that_belongs_together_is_an_error(world: Path, student: Path, tmp_path: Path) -> None:
    alone = read(str(world / "judgments"), JUDGMENTS).slice(0, 1)
    write(alone, str(tmp_path / "tables/judgments"), JUDGMENTS)
    write(read(str(world / "pin_text"), PIN_TEXT), str(tmp_path / "tables/pin_text"), PIN_TEXT)
    settings = EvaluateRepresentations(tables=str(tmp_path / "tables"), student=student, output=tmp_path / "out")
    with pytest.raises(TableError, match="nothing belongs together"):
        evaluate_representations.main(settings)


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_the_configs_hold_settings_that_exist(root: Path, profile: str) -> None:
    configs = root / "pipelines/configs" / profile
    assert parse(EmbedTexts, ["--config", str(configs / "embed_texts.yaml")]).output.name == "texts"
    found = parse(EvaluateRepresentations, ["--config", str(configs / "evaluate_representations.yaml")])
    assert found.split == "test" and found.output.name == "representations"
