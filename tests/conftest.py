"""What the tests share: the real judgments, the packaged backbone and one Ray session."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

hypothesis.settings.register_profile("patient", deadline=None)  # the machine may be busy with other tests
hypothesis.settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent
DATA_SETTING = "PINRANK_DATA"
"""The one setting that says where the public judgments lie."""


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def relevance_dir() -> Path:
    """The folder of real judgments; CI must have it, a user's clone may lack it."""
    folder = Path(os.environ.get(DATA_SETTING) or ROOT.parent / "shared/data/relevance")
    if not (folder / "judgements.parquet").exists():
        missing = f"{folder} holds no judgements.parquet; set {DATA_SETTING} to the folder of the public judgments"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One local Ray cluster of two CPUs for all Ray tests; starting one costs about six seconds."""
    import ray

    from serve_apps.rerank.run import tell_processes

    os.environ["RAY_AUTH_MODE"] = "disabled"  # a throw-away cluster on loopback
    tell_processes()
    os.environ["PINRANK_BODY_TIMEOUT_S"] = "5"
    os.environ["RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S"] = "0.5"  # 10 s is long for a test
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=300 * 2**20)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def tiny_bert_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT as a Hugging Face folder."""
    from tests.tiny_models import tiny_bert

    return tiny_bert(tmp_path_factory.mktemp("tiny") / "bert")


@pytest.fixture(scope="session")
def tiny_teacher_dir(tmp_path_factory: pytest.TempPathFactory, tiny_bert_dir: Path) -> Path:
    """A published teacher with random weights."""
    from tests.tiny_models import tiny_teacher

    folder = tmp_path_factory.mktemp("tiny") / "teacher"
    tiny_teacher(folder, tiny_bert_dir)
    return folder
