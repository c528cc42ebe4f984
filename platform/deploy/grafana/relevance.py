"""The relevance dashboard for Grafana, from the queries below.

    python platform/deploy/grafana/relevance.py > platform/deploy/grafana/relevance.json

Import the JSON in Grafana (Dashboards, New, Import) and choose the Prometheus that reads the cluster. A panel is a
title, the unit of its axis, and its queries with their legends.
"""

import json
from typing import Any, NamedTuple

WIDTH, HEIGHT, ACROSS = 8, 8, 3


class Panel(NamedTuple):
    """A chart: PromQL by legend; unit is Grafana's id of it."""

    title: str
    unit: str
    queries: dict[str, str]
    stacked: bool = False


def rate(metric: str, by: str = "") -> str:
    """What a counter gains in a second, summed but for a label."""
    return f"sum{f' by ({by})' if by else ''} (rate(ray_{metric}[$__rate_interval]))"


def quantile(share: float, metric: str, only: str = "", by: str = "le") -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({share}, sum by ({by}) (rate(ray_{metric}_bucket{only}[$__rate_interval])))"


REQUEST = '{stage="request"}'
HITS = 'pinrank_query_cache_total{outcome="hit"}'

ROWS: dict[str, list[Panel]] = {
    "Serving": [
        Panel("Answers", "reqps", {"{{role}}": rate("pinrank_answers_total", "role")}),
        Panel(
            "Time of an answer",
            "s",
            {
                f"p{round(share * 100)}": quantile(share, "pinrank_stage_seconds", REQUEST)
                for share in (0.5, 0.95, 0.99)
            },
        ),
        Panel("Stages, p99", "s", {"{{stage}}": quantile(0.99, "pinrank_stage_seconds", by="le, stage")}),
        Panel(
            "Degraded answers",
            "percentunit",
            {
                "{{step}}": f"{rate('pinrank_degraded_total', 'step')} "
                f"/ on () group_left () {rate('pinrank_answers_total')}"
            },
        ),
        Panel(
            "Pins that the store lacks",
            "percentunit",
            {"of the documents": f"{rate('pinrank_missing_pins_total')} / {rate('pinrank_documents_total')}"},
        ),
        Panel(
            "Queries whose vector was held",
            "percentunit",
            {"hits": f"{rate(HITS)} / {rate('pinrank_query_cache_total')}"},
        ),
        Panel(
            "Vectors held, by cache", "percentunit", {"{{level}}": "avg by (level) (ray_pinrank_query_cache_hit_rate)"}
        ),
        Panel("Shared cache", "reqps", {"{{asked}} {{outcome}}": rate("pinrank_shared_cache_total", "asked, outcome")}),
        Panel(
            "Errors over HTTP", "reqps", {"{{error_code}}": rate("serve_num_http_error_requests_total", "error_code")}
        ),
        Panel("Replicas", "short", {"{{deployment}}": "sum by (deployment) (ray_serve_deployment_replica_healthy)"}),
        Panel("Refused releases", "short", {"refused": "sum (increase(ray_pinrank_releases_refused_total[1h]))"}),
    ],
    "Relevance": [
        Panel("Levels of the graded documents", "percent", {"L{{level}}": rate("pinrank_levels_total", "level")}, True),
        Panel(
            "Ten best that the shadow shares",
            "percentunit",
            {"mean": f"{rate('pinrank_shadow_overlap_sum')} / {rate('pinrank_shadow_overlap_count')}"},
        ),
        Panel("Lists kept of what was served", "reqps", {"{{outcome}}": rate("pinrank_served_lists_total", "outcome")}),
        Panel("Student beside teacher", "short", {"levels apart": "max (ray_pinrank_teacher_student_drift_levels)"}),
    ],
    "Labelling": [
        Panel(
            "Rows",
            "short",
            {
                "{{pipeline}} rows/s": rate("pinrank_rows_total", "pipeline"),
                "{{pipeline}} graded/s": rate("pinrank_graded_total", "pipeline"),
            },
        ),
        Panel("Tokens", "short", {"{{pipeline}} tokens/s": rate("pinrank_tokens_total", "pipeline")}),
        Panel(
            "Engines at work",
            "percentunit",
            {"{{worker}}": rate("pinrank_engine_busy_seconds_total", "pipeline, worker")},
        ),
        Panel("Done", "percentunit", {"{{pipeline}}": "max by (pipeline) (ray_pinrank_done_ratio)"}),
        Panel("Until done", "s", {"{{pipeline}}": "max by (pipeline) (ray_pinrank_remaining_seconds)"}),
        Panel("Rows set aside", "short", {"{{pipeline}} rows/s": rate("pinrank_quarantined_total", "pipeline")}),
    ],
    "Training": [
        Panel("Loss", "short", {"{{model}}": "max by (model) (ray_pinrank_training_loss)"}),
        Panel("Samples", "short", {"{{model}} samples/s": rate("pinrank_training_samples_total", "model")}),
        Panel("Rank correlation on dev", "short", {"{{model}}": "max by (model) (ray_pinrank_training_dev_spearman)"}),
    ],
    "Cluster": [
        Panel("CPU", "percent", {"{{instance}}": "avg by (instance) (ray_node_cpu_utilization)"}),
        Panel("Memory", "bytes", {"{{instance}}": "avg by (instance) (ray_node_mem_used)"}),
        Panel(
            "GPU", "percent", {"{{instance}} {{GpuIndex}}": "avg by (instance, GpuIndex) (ray_node_gpus_utilization)"}
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "collapsed": False, "gridPos": place(0, top, 24, 1)})
        for number, panel in enumerate(row):
            down, right = divmod(number, ACROSS)
            panels.append(drawn(panel) | {"gridPos": place(right * WIDTH, top + 1 + down * HEIGHT, WIDTH, HEIGHT)})
        top += 1 + -(-len(row) // ACROSS) * HEIGHT
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "title": "pinrank: relevance",
        "uid": "pinrank-relevance",
        "tags": ["pinrank"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def drawn(panel: Panel) -> dict[str, Any]:
    """A panel as Grafana's JSON says it."""
    lines: dict[str, Any] = {"showPoints": "never"}
    if panel.stacked:
        lines |= {"stacking": {"mode": "percent"}, "fillOpacity": 60}
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [
        {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend, "datasource": source}
        for number, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": lines}, "overrides": []},
    }


def place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    """Where a panel lies on the dashboard's grid of 24 columns."""
    return {"x": x, "y": y, "w": width, "h": height}


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1))
