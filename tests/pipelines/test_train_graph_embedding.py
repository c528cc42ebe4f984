"""pipelines.train_graph_embedding on a small generated world."""

import json
from pathlib import Path

import pytest

from pinrank.embeddings.external import open_external
from pinrank.errors import TableError
from pinrank.pipeline import parse
from pipelines.generate_world import GenerateWorld
from pipelines.generate_world import main as generate_world
from pipelines.train_graph_embedding import TrainGraphEmbedding, main
from tests.job import run_job

WORLD = {"num_pins": 300, "num_users": 60, "num_queries": 40, "num_impressions": 6_000}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    generate_world(GenerateWorld(output=str(folder), world=WORLD))
    return folder


def test_job_writes_a_named_embedding_and_counts_its_pins(world: Path, root: Path, tmp_path: Path):
    output = tmp_path / "graph"
    done = run_job(
        root, "train_graph_embedding", "--tables", str(world), "--output", str(output), "--graph.dim", "8"
    )  # fmt: skip
    assert done.code == 0, done.told
    found, card = open_external(str(output / "pins")), json.loads((output / "card.json").read_text())
    assert found.name == card["version"] == done.summary["details"]["embedding"]
    assert found.vector_dim == card["vector_dim"] == 8
    details = done.summary["details"]
    assert 0 < len(found.ids) == details["pins_with_vector"] <= details["pins"] < 300
    assert details["edges"] <= details["saves"]
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_the_vectors_do_not_depend_on_how_the_log_is_cut(world: Path, tmp_path: Path):
    small = {"rows": {"rows_per_piece": 100, "rows_per_partition": 300}}
    names = [
        main(TrainGraphEmbedding(tables=str(world), output=tmp_path / "graph", graph={"dim": 8}, log=log)).details
        for log in ({}, small)
    ]
    assert names[0] == names[1]


def test_a_folder_of_other_things_is_left_alone(world: Path, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(TableError, match=r"holds no card\.json"):
        main(TrainGraphEmbedding(tables=str(world), output=tmp_path, graph={"dim": 8}))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str):
    config = str(root / f"pipelines/configs/{profile}/train_graph_embedding.yaml")
    assert parse(TrainGraphEmbedding, ["--config", config]).tables == f"runs/{profile}/tables"
