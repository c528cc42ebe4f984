"""Every metric of ours: declared once, documented, and what Prometheus reads after it was counted."""

import re
from pathlib import Path

import pytest
import ray

from pinrank import shard_progress, training_record
from pinrank.ray_metrics import Counter, Gauge, Histogram, Metric
from serve_apps.rerank import counts

LAYERS = (shard_progress.METRICS, training_record.METRICS, counts.METRICS)
DECLARED = {metric.name: metric for layer in LAYERS for metric in layer}

ROW = re.compile(r"^\| `(pinrank_\w+)` \| (counter|gauge|histogram) \|([^|]*)\| (.+) \|$", re.MULTILINE)


def test_no_name_is_declared_twice() -> None:
    assert len(DECLARED) == sum(map(len, LAYERS))


def test_the_docs_list_every_metric_with_type_labels_and_meaning_and_no_other(root: Path) -> None:
    page = (root / "docs/operate.md").read_text()
    listed = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in ROW.findall(page)}
    declared = {name: (type(metric).__name__.lower(), metric.labels) for name, metric in DECLARED.items()}
    assert listed == declared


@pytest.mark.parametrize("page", ["docs/serve.md", "docs/labelling.md", "CHANGELOG.md", "README.md"])
def test_other_pages_name_no_metric_that_there_is_not(root: Path, page: str) -> None:
    named = set(re.findall(r"\bpinrank_\w+(?:_total|_seconds|_ratio|_overlap|_loss)\b", (root / page).read_text()))
    assert named <= set(DECLARED)


@pytest.mark.parametrize("metric", DECLARED.values(), ids=lambda metric: metric.name)
def test_names_have_our_prefix_and_base_units(metric: Metric) -> None:
    assert metric.name.startswith("pinrank_")
    assert isinstance(metric, Counter) == metric.name.endswith("_total")
    assert not re.search(r"_(ms|millis|minutes|hours|kb|mb|percent)(_|$)", metric.name)


def test_metrics_are_declared_through_one_module(root: Path) -> None:
    folders = ("platform", "pipelines", "serve_apps")
    files = [file for folder in folders for file in (root / folder).rglob("*.py") if "metrics" in file.read_text()]
    using = {file.name for file in files if re.search(r"ray\.util(\.| import )metrics", file.read_text())}
    assert using == {"ray_metrics.py"}


def test_counting_needs_no_ray_session_and_starts_none() -> None:
    was_there = ray.is_initialized()
    Counter("pinrank_nobody_total", "Of a test.", ("kind",)).add(2, "any")
    Gauge("pinrank_nobody_seconds", "Of a test.").set(1.5)
    Histogram("pinrank_nobody_took_seconds", "Of a test.", (0.1, 1.0)).observe(0.5)
    assert ray.is_initialized() == was_there


def test_as_many_values_as_labels_are_asked_for() -> None:
    counter = Counter("pinrank_labelled_total", "Of a test.", ("kind", "worker"))
    with pytest.raises(ValueError, match="zip"):
        counter.add(1, "any")
