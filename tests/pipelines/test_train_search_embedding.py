"""pipelines.train_search_embedding on a small generated world, with a tiny random backbone, on real Ray Train."""

from pathlib import Path

import pytest

from pinrank.embeddings.external import open_external
from pinrank.pipeline import parse
from pinrank.search_embedding.export import open_search_embedding
from pinrank.tables import JUDGMENTS, read
from pinrank.text import normalise_query
from pipelines.build_pin_text import BuildPinText
from pipelines.build_pin_text import main as build_pin_text
from pipelines.generate_world import GenerateWorld
from pipelines.generate_world import main as generate_world
from pipelines.train_search_embedding import TrainSearchEmbedding, main
from tests.killed_job import training_worker_killed

WORLD = {"num_pins": 200, "num_users": 60, "num_queries": 120, "num_impressions": 10_000, "judged_per_query": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    generate_world(GenerateWorld(output=str(folder), world=WORLD))
    build_pin_text(BuildPinText(tables=str(folder)))
    return folder


def settings_of(world: Path, backbone: Path, output: Path) -> TrainSearchEmbedding:
    return TrainSearchEmbedding(
        tables=str(world),
        output=output,
        pairs={"min_users": 1, "held_out_share": 0.3, "recall_at": [10]},
        embedding={
            "backbone": str(backbone),
            "output_dim": 16,
            "epochs": 4,
            "batch_size": 16,
            "learning_rate": 2e-3,
            "precision": "float32",
            "checkpoint_every_steps": 2,
            "num_workers": 2,
            "threads_per_worker": 1,
            "retries": 1,
        },
    )


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_job_that_loses_its_workers_goes_on_to_the_vectors_of_one_that_does_not(
    world: Path, tiny_bert_dir: Path, tmp_path: Path
):
    whole = main(settings_of(world, tiny_bert_dir, tmp_path / "whole"))
    model = open_search_embedding(tmp_path / "whole")
    metrics = model.card.metrics
    assert metrics["recall_at_10"] > metrics["before_recall_at_10"]
    pins, queries = (open_external(str(tmp_path / "whole" / side)) for side in ("pins", "queries"))
    assert pins.name == queries.name == model.card.version == whole.details["embedding"]
    assert len(pins.ids) == whole.details["pins"] <= 200
    judged = {normalise_query(query) for query in read(f"{world}/judgments", JUDGMENTS)["query"].to_pylist()}
    assert queries.gather(sorted(judged))[1].all()
    assert 0 < whole.details["judged_pairs"] < whole.details["engaged_pairs"]

    with training_worker_killed(0, tmp_path):
        assert main(settings_of(world, tiny_bert_dir, tmp_path / "killed")).details == whole.details
    left = ["killed", "killed.training.jsonl", "whole", "whole.training.jsonl"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == left


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str):
    config = str(root / f"pipelines/configs/{profile}/train_search_embedding.yaml")
    assert parse(TrainSearchEmbedding, ["--config", config]).tables == f"runs/{profile}/tables"
