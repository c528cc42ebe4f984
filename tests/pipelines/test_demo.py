"""The whole recipe as `make demo` runs it, with every real engine, on a generated world of a few hundred rows."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from pinrank.datasets.fetch import OUTPUT
from pinrank.errors import SettingsError
from pinrank.evaluation.report import METRICS
from pinrank.pipeline import JobSettings, parse
from pinrank.stages import Stage
from pipelines.demo import Demo, jobs_of, stages_of
from pipelines.fit_lexical import FitLexical
from pipelines.label_impressions import LabelImpressions
from pipelines.pair_near_pins import PairNearPins
from pipelines.share_grades import ShareGrades
from pipelines.train_student import TrainStudent
from tests.datasets.file_server import Host, serving
from tests.datasets.owners_files import hosted
from tests.serve_apps.shop import free_port

SMALL: dict[str, dict[str, object]] = {
    "generate_world": {
        "world": {"num_pins": 300, "num_users": 50, "num_queries": 60, "judged_per_query": 8, "num_impressions": 3_000}
    },
    "train_teacher": {"teacher": {"epochs": 1, "batch_size": 16, "text": {"max_query_tokens": 16, "max_tokens": 48}}},
    "sample_impressions": {"size": 300, "min_per_stratum": 1},
    "label_impressions": {
        "rows_per_shard": 128,
        "engine": {"name": "vllm", "kv_cache_bytes": 2**26},
        "workers": {"engine_threads": 2},
        "cluster": {"num_cpus": 2, "dashboard": False},
    },
    "train_student": {"student": {"epochs": 1}},
    "embed_pins": {"cluster": {"num_cpus": 2, "dashboard": False}},
}
"""What differs from the demo's own settings."""

MAKES_LABELS = (
    "sample_impressions",
    "train_teacher",
    "pair_near_pins",
    "label_impressions",
    "share_grades",
    "train_student",
)
"""Jobs of the full profile in the order in which each finds what it reads."""

Settings = TypeVar("Settings", bound=JobSettings)

MARK = "PINRANK_TESTED_DEMO"
"""A variable by which every process of a demo is known, whoever its parent is now."""


@pytest.fixture
def elsewhere(tmp_path: Path, root: Path) -> Path:
    """A working folder with the demo's settings for a small world, and no public judgments beside it."""
    configs = tmp_path / "here/pipelines/configs/demo"
    configs.mkdir(parents=True)
    for path in (root / "pipelines/configs/demo").glob("*.yaml"):
        settings = (yaml.safe_load(path.read_text()) or {}) | SMALL.get(path.stem, {})
        (configs / path.name).write_text(yaml.safe_dump(settings))
    return tmp_path / "here"


def run_demo(folder: Path, root: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pipelines.demo", "--port", str(free_port()), "--no-fetch"]
    paths = os.pathsep.join([str(root), str(root / "platform")])
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {MARK: str(folder)}
    return subprocess.run(command, cwd=folder, env=alone | {"PYTHONPATH": paths}, capture_output=True, text=True)


def left_behind(folder: Path) -> list[str]:
    """What still runs of a demo in this folder when Ray's workers have had time to see that their node is gone."""
    deadline = time.monotonic() + 60
    while (found := still_running(folder)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def still_running(folder: Path) -> list[str]:
    """The command lines of the processes that a demo in this folder started and that still run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == str(folder):
                found.append(" ".join(process.cmdline()))
    return found


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1200)  # ten processes one after the other, each with its imports and its own Ray session
def test_the_demo_runs_every_job_and_ends_with_a_served_reranking(elsewhere: Path, root: Path) -> None:
    done = run_demo(elsewhere, root)
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "quality figures prove NOTHING" in done.stderr
    summary = json.loads((elsewhere / "runs/demo/summary.json").read_text())
    assert [stage["name"] for stage in summary["stages"]] == ["generate_world", *jobs_of("demo"), "serve"]
    assert all(stage["rows_out"] > 0 and stage["peak_memory_bytes"] < 6e9 for stage in summary["stages"])
    overall = summary["metrics"]["overall"]
    assert set(overall) == {"bm25", "frozen", "teacher", "student"}
    assert all(overall["student"][name] is not None for name in METRICS)
    reranked = summary["rerank"]["response"]["results"]
    scores = [result["relevance_score"] for result in reranked]
    assert len(scores) == len(summary["rerank"]["request"]["documents"]) and scores == sorted(scores, reverse=True)
    assert left_behind(elsewhere) == []


def test_the_full_profile_learns_from_grades_that_cross_languages(root: Path) -> None:
    def of(job: str, model: type[Settings]) -> Settings:
        return parse(model, ["--config", str(root / f"pipelines/configs/full/{job}.yaml")])

    near, label, share = (
        of("pair_near_pins", PairNearPins),
        of("label_impressions", LabelImpressions),
        of("share_grades", ShareGrades),
    )
    lexical, train = of("fit_lexical", FitLexical), of("train_student", TrainStudent)
    assert f"{near.tables}/near_pairs" in label.pairs and f"{near.tables}/sampled_pairs" in label.pairs
    assert Path(share.soft_labels).absolute() == label.output
    assert train.soft_labels == (share.soft_labels, share.output)
    assert train.lexical is not None and train.lexical.absolute() == lexical.output
    assert train.words == lexical.words
    jobs = jobs_of("full")
    assert [job for job in jobs if job in MAKES_LABELS] == list(MAKES_LABELS)
    assert jobs.index("fit_lexical") < jobs.index("train_student")
    assert not {"pair_near_pins", "share_grades", "fit_lexical"} & set(jobs_of("demo"))


def test_a_folder_that_was_named_and_holds_no_judgments_is_an_error_and_no_generated_world(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"holds no judgements\.parquet\. Fix DATA"):
        stages_of(Demo(data=str(tmp_path)), Console())


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Host]:
    """A server that has the public sources, a few rows each."""
    with serving(hosted(tmp_path / "theirs")) as host:
        yield host


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without any judgments, as long as a test runs."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def first_stage(api: str, **settings: bool) -> tuple[Stage, str]:
    """The demo's first stage and what it tells."""
    told = Console(record=True, file=io.StringIO(), width=200)
    return stages_of(Demo(**settings), told, api)[0], told.export_text()


def test_without_judgments_the_demo_fetches_public_ones_where_the_network_allows(nowhere: Path, public: Host) -> None:
    first, told = first_stage(public.url)
    assert (first.name, first.reads) == ("import_judgments", (OUTPUT,))
    assert (nowhere / OUTPUT / "judgements.parquet").exists()
    assert "fetching them" in told
    public.requests.clear()
    assert first_stage(public.url)[0].reads == (OUTPUT,)
    assert public.requests == []


def test_without_a_network_the_demo_generates_a_world_and_says_so(nowhere: Path) -> None:
    with serving(Host({})) as gone:
        pass
    first, told = first_stage(gone.url)
    assert first.name == "generate_world"
    assert "quality figures prove NOTHING" in told


def test_a_source_that_cannot_be_had_is_left_out(nowhere: Path, public: Host) -> None:
    public.files = {name: data for name, data in public.files.items() if "chorus" not in name}
    public.files["LIAAD/pt-image-ir-dataset/data/qrels.txt"] = b"something else\n"
    first, told = first_stage(public.url)
    assert first.reads == (OUTPUT,)
    assert "chorus is left out:" in told and "ptimage is left out:" in told
    judged = pq.read_table(nowhere / OUTPUT / "judgements.parquet").column("source").unique().to_pylist()
    assert judged == ["commons", "cxc"]


def test_a_download_that_fails_leaves_the_generated_world(nowhere: Path, public: Host) -> None:
    public.files.clear()
    first, told = first_stage(public.url)
    assert first.name == "generate_world"
    assert "this commit has no such file" in told


def test_the_demo_asks_no_network_when_it_is_told_not_to(nowhere: Path, public: Host) -> None:
    assert first_stage(public.url, fetch=False)[0].name == "generate_world"
    assert public.requests == []
