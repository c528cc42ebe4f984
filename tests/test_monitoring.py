"""Prometheus reads a real cluster, and its alerts and the dashboard ask for metrics that there are."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pinrank import tables
from tests.debian import program
from tests.labeling.rows import pin_texts, sampled
from tests.running_head import Head, free_ports, running_head
from tests.serve_apps.conftest import shop
from tests.serve_apps.shop import Shop
from tests.teacher.test_train import examples, here
from tests.test_ray_metrics import DECLARED

__all__ = ["shop"]

READ_TIMEOUT_S = 90
NUM_PINS, NUM_PAIRS, NUM_REQUESTS = 30, 300, 7
NUM_LEARNT = sum(split != "dev" for split in examples()["split"].to_pylist())


@pytest.fixture(scope="module")
def prometheus_files(root: Path) -> Path:
    return root / "platform/deploy/prometheus"


@pytest.fixture(scope="module")
def dashboard(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / "platform/deploy/grafana/relevance.json").read_text()))


def queries_of(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def alerts_of(files: Path) -> dict[str, str]:
    groups = yaml.safe_load((files / "pinrank.rules.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool", "prometheus"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "pinrank.rules.yml"),
        ("test", "rules", "pinrank.rules.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_the_files(prometheus_files: Path, arguments: tuple[str, ...]) -> None:
    said = promtool(*arguments, folder=prometheus_files)
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_alert_is_seen_firing_in_a_rule_test(prometheus_files: Path) -> None:
    tests = yaml.safe_load((prometheus_files / "pinrank.rules.test.yml").read_text())["tests"]
    fired = {rule["alertname"] for test in tests for rule in test["alert_rule_test"] if rule.get("exp_alerts")}
    assert fired == set(alerts_of(prometheus_files))


def test_alerts_and_dashboard_name_metrics_that_are_declared(prometheus_files: Path, dashboard: dict[str, Any]) -> None:
    for query in [*alerts_of(prometheus_files).values(), *queries_of(dashboard)]:
        for name in re.findall(r"\bray_(pinrank_\w+)", query):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in DECLARED, query


def test_the_dashboard_shows_every_metric(dashboard: dict[str, Any]) -> None:
    shown = " ".join(queries_of(dashboard))
    assert [name for name in DECLARED if f"ray_{name}" not in shown] == []


def test_the_dashboard_is_what_its_program_prints(root: Path, dashboard: dict[str, Any]) -> None:
    said = subprocess.run(
        [sys.executable, "platform/deploy/grafana/relevance.py"], cwd=root, capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout) == dashboard


@dataclass(frozen=True)
class Watched:
    """A Prometheus that reads a cluster on which a teacher was trained, a job ran and an app answers."""

    url: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of a PromQL query now; fails when it is none."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=10).json()
        assert answer["status"] == "success", f"{query}: {answer.get('error')}"
        return list(answer["data"]["result"])

    def names(self) -> set[str]:
        """The names of all series."""
        return set(httpx.get(f"{self.url}/api/v1/label/__name__/values", timeout=10).json()["data"])

    def value(self, query: str) -> float:
        """The one number of a query, NaN where there is none yet."""
        found = self.ask(query)
        return float(found[0]["value"][1]) if found else float("nan")


@pytest.fixture(scope="module")
def watched(
    root: Path,
    shop: Shop,
    tiny_bert_dir: Path,
    tiny_teacher_dir: Path,
    prometheus_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    prometheus = program("prometheus", "prometheus")
    folder = tmp_path_factory.mktemp("watched")
    with running_head(num_cpus=3) as head, reading(prometheus, prometheus_files, head, folder) as watched:
        learning = here(tiny_bert_dir, epochs=1).model_dump_json()
        on(head, root, "tests.teacher.trained_on", learning, str(folder / "teacher"))
        label(head, root, tiny_teacher_dir, folder)
        ask_the_app(head, root, shop)
        yield watched


@contextmanager
def reading(prometheus: str, files: Path, head: Head, folder: Path) -> Iterator[Watched]:
    """Prometheus with our configuration, but for the places of Ray's list and of its own data."""
    config = (files / "prometheus.yml").read_text()
    config = config.replace("/tmp/ray/", f"{head.folder}/").replace("pinrank.rules.yml", f"{files}/pinrank.rules.yml")
    (folder / "prometheus.yml").write_text(config.replace("interval: 10s", "interval: 1s").replace("30s", "1s"))
    (port,) = free_ports(1)
    command = [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            yield Watched(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(timeout=20)


def on(head: Head, root: Path, *module: str) -> None:
    """Run a module as a driver on the cluster."""
    python_path = os.pathsep.join([str(root / "platform"), str(root)])
    environment = head.environment | {"RAY_ADDRESS": head.gcs, "PYTHONPATH": python_path}
    command = [sys.executable, "-m", *module]
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def label(head: Head, root: Path, teacher: Path, folder: Path) -> None:
    pins = {f"p{number}": f"pin number {number}" for number in range(NUM_PINS)}
    pairs = [(f"query {number}", pin_id) for number in range(NUM_PAIRS // NUM_PINS) for pin_id in pins]
    tables.write(sampled(*pairs), str(folder / "sampled_pairs"), tables.SAMPLED_PAIRS)
    tables.write(pin_texts(**pins), str(folder / "pin_text"), tables.PIN_TEXT)
    where = ("--tables", str(folder), "--output", str(folder / "soft_labels"), "--teacher", str(teacher))
    on(head, root, "pipelines.label_impressions", *where, "--engine.name=transformers", "--rows_per_shard=64")


def ask_the_app(head: Head, root: Path, shop: Shop) -> None:
    (port,) = free_ports(1)
    on(head, root, "tests.serve_apps.deployed", str(shop.student), str(shop.pin_store), "127.0.0.1", str(port))
    documents = [{"id": pin_id} for pin_id in [*list(shop.pins)[:9], "no such pin"]]
    for _ in range(NUM_REQUESTS):
        asked = {"query": "red wool sweater", "documents": documents}
        assert httpx.post(f"http://127.0.0.1:{port}/v2/rerank", json=asked, timeout=30).status_code == 200
    assert httpx.post(f"http://127.0.0.1:{port}/v2/rerank", json={}, timeout=30).status_code == 422


def until(value: Callable[[], float], expected: float) -> None:
    """Wait for what Prometheus has read to be what was counted."""
    deadline = time.monotonic() + READ_TIMEOUT_S
    while value() != expected:
        assert time.monotonic() < deadline, f"{value()} after {READ_TIMEOUT_S} s, expected {expected}"
        time.sleep(0.5)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('sum(ray_pinrank_training_samples_total{model="teacher"})', NUM_LEARNT),
        ('max_over_time(ray_pinrank_training_loss{model="teacher"}[10m]) > bool 0', 1),
        ('sum(ray_pinrank_rows_total{pipeline="label_impressions"})', NUM_PAIRS),
        ('sum(ray_pinrank_graded_total{worker="worker 0"})', NUM_PAIRS),
        ('max_over_time(ray_pinrank_done_ratio{pipeline="label_impressions"}[10m])', 1),
        ("sum(ray_pinrank_tokens_total) > bool 1000", 1),
        ("sum(ray_pinrank_engine_busy_seconds_total) > bool 0", 1),
        ('sum(ray_pinrank_answers_total{role="current"})', NUM_REQUESTS),
        ("sum(ray_pinrank_documents_total)", 10 * NUM_REQUESTS),
        ("sum(ray_pinrank_missing_pins_total)", NUM_REQUESTS),
        ("sum(ray_pinrank_levels_total)", 9 * NUM_REQUESTS),
        ('sum(ray_pinrank_query_cache_total{outcome="hit"})', NUM_REQUESTS - 1),
        ('sum(ray_pinrank_degraded_total{step="input_order"})', NUM_REQUESTS),
        ('sum(ray_pinrank_stage_seconds_count{stage="request"})', NUM_REQUESTS),
        ('sum(ray_pinrank_stage_seconds_count{stage=~"encode|lookup|rank"})', 3 * NUM_REQUESTS),
        ('sum(rate(ray_pinrank_stage_seconds_sum{stage="request"}[1h])) < bool 10', 1),
    ],
)
def test_prometheus_reads_what_was_done(watched: Watched, query: str, expected: float) -> None:
    until(lambda: watched.value(query), expected)


@pytest.mark.ray
@pytest.mark.slow
def test_every_query_of_the_dashboard_is_promql_over_metrics_that_ray_has(
    watched: Watched, dashboard: dict[str, Any]
) -> None:
    for query in queries_of(dashboard):
        watched.ask(query.replace("$__rate_interval", "1m"))
    of_ray = {name for query in queries_of(dashboard) for name in re.findall(r"\bray_(?!pinrank_)\w+", query)}
    of_ray -= {"ray_node_gpus_utilization"}  # only where there are GPUs
    until(lambda: len(of_ray & watched.names()), len(of_ray))


@pytest.mark.ray
@pytest.mark.slow
def test_every_node_is_read_and_no_alert_is_broken(watched: Watched) -> None:
    assert watched.ask("up == 1") and not watched.ask("up == 0")
    groups = httpx.get(f"{watched.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
    assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []
