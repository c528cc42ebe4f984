"""From lists that a served application showed to the teacher's say of them."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import ray

from pinrank import tables
from pinrank.errors import TableError
from pinrank.served.lists import ServedList
from pinrank.tables import SERVED, SOFT_LABELS
from pipelines.grade_served import BEYOND, GradeServed, exit_code, main
from tests.job import run_job
from tests.killed_job import kill_after
from tests.labeling.rows import pin_texts
from tests.serve_apps.shop import QUERIES, Shop, free_port, make_shop
from tests.served.rows import DAY, served_list, write_log

pytestmark = pytest.mark.ray

TITLES = {f"p{number}": f"red shoes {number}" for number in range(10)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_bert_dir: Path) -> Shop:
    return make_shop(tmp_path_factory.mktemp("shop"), tiny_bert_dir)


@pytest.fixture(scope="module")
def served(ray_session: None, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What an application logged of 24 lists of 12 queries, and has finished when it was shut down."""
    from ray import serve

    from serve_apps.rerank.app import build
    from serve_apps.rerank.settings import RerankSettings

    folder, port = tmp_path_factory.mktemp("log") / "served", free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    settings = RerankSettings.model_validate(
        {
            **{"student": str(shop.student), "pin_store": str(shop.pin_store)},
            "served_log": {"folder": str(folder), "share": 1.0, "flush_s": 0.05},
        }
    )
    serve.run(build(settings), name="rerank", route_prefix="/")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        for number in range(24):
            documents = [{"id": f"pin-{(number * 7 + place) % 240}"} for place in range(12)]
            body = {"query": QUERIES[number % 12], "query_locale": ("en", "de")[number % 2], "top_n": 8}
            asked = client.post("/v2/rerank", json=body | {"documents": [*documents, "a text", {"id": "nobody"}]})
            assert asked.status_code == 200, asked.text
    serve.shutdown()
    yield folder


def settings_of(folder: Path, served: Path, teacher: Path, **changed: Any) -> GradeServed:
    given = {
        **{"served": served, "tables": str(folder), "teacher": teacher, "output": folder / "grades", "date": DAY},
        **{"engine": {"name": "transformers"}, "rows_per_shard": 16, "bootstrap": {"num_resamples": 20}},
        "segments": {"min_lists": 2},
    }
    return GradeServed(**given | changed)


def synthetic(folder: Path, day: datetime.date = DAY) -> Path:
    """A log of 24 lists, and the texts of their pins."""
    lists: list[ServedList] = [
        served_list(f"{day}-{number:02}", pins=4, query=f"red shoes {number % 12}") for number in range(24)
    ]
    write_log(folder / "served", *lists, day=day)
    tables.write(pin_texts(**TITLES), str(folder / "pin_text"), tables.PIN_TEXT)
    return folder / "served"


def test_what_an_application_showed_is_graded_and_reported(
    served: Path, shop: Shop, tiny_teacher_dir: Path, tmp_path: Path
) -> None:
    tables.write(
        pin_texts(**{pin_id: pin["title"] for pin_id, pin in shop.pins.items()}),
        str(tmp_path / "pin_text"),
        tables.PIN_TEXT,
    )
    [day] = [datetime.date.fromisoformat(path.name) for path in served.iterdir()]
    assert not list(served.rglob("*.open"))
    summary = main(settings_of(tmp_path, served, tiny_teacher_dir, date=day))
    lists = tables.read(str(tmp_path / f"grades/served/date={day}"), SERVED)
    assert len(lists["list_id"].unique()) == 24 and set(lists["query_locale"].to_pylist()) == {"en", "de"}
    assert max(lists["position"].to_pylist()) == 7 and all(level for level in lists["level"].to_pylist())
    report = json.loads((tmp_path / "grades/report.json").read_text())
    by_segment = report["sections"][1]["figures"]
    assert {"overall", "locale en", "locale de", f"release {lists['version'][0]}"} <= set(by_segment)
    for metric in ("ndcg_at_10", "accuracy", "qwk", "spearman", "drift_levels"):
        assert report["today"][metric] == by_segment["overall"][metric]
    low, high = report["today"]["drift_levels"]["ci95"]
    assert 0 <= low <= report["today"]["drift_levels"]["value"] <= high <= 4
    assert summary.details["alerts"] == [] and exit_code(summary) == 0
    for kind in ("md", "html"):
        assert "locale de" in (tmp_path / f"grades/report.{kind}").read_text()


def test_a_second_day_grades_only_new_pairs_and_stands_beside_the_first(
    ray_session: None, tiny_teacher_dir: Path, tmp_path: Path
) -> None:
    after = DAY + datetime.timedelta(days=1)
    served = synthetic(tmp_path)
    main(settings_of(tmp_path, served, tiny_teacher_dir))
    synthetic(tmp_path, after)
    (served / str(after) / "served-dead.jsonl.open").write_text("{}\n")
    limits = {"accuracy": 0.99, "drift_levels": 0.001, "ndcg_at_10": 0.0}
    summary = main(settings_of(tmp_path, served, tiny_teacher_dir, date=after, alert=limits))
    assert summary.details["labels"]["reused_pairs"] == 48
    report = json.loads((tmp_path / "grades/report.json").read_text())
    assert list(report["sections"][2]["figures"]) == [str(DAY), str(after)]
    # The line that is no list is set aside, and figures beyond their limits are told.
    assert (summary.rows_out, summary.quarantined) == (96, 1)
    assert list((tmp_path / f"grades/quarantine/date={after}").glob("*.parquet"))
    assert [alert["metric"] for alert in summary.details["alerts"]] == ["accuracy", "drift_levels"]
    assert exit_code(summary) == BEYOND
    assert [alert["metric"] for alert in report["alerts"]] == ["accuracy", "drift_levels"]
    # What is graded is not graded again, and days before the window are no part of the report.
    alone = main(settings_of(tmp_path, served, tiny_teacher_dir, date=after, window_days=1))
    assert alone.details["today"] == summary.details["today"]
    report = json.loads((tmp_path / "grades/report.json").read_text())
    assert list(report["sections"][2]["figures"]) == [str(after)]


def test_a_log_of_which_too_much_is_no_list_ends_the_job(tiny_teacher_dir: Path, tmp_path: Path) -> None:
    served = synthetic(tmp_path)
    (served / str(DAY) / "served-dead.jsonl.open").write_text("{}\n")
    with pytest.raises(TableError, match=r"1 lines are no lists.*Field required"):
        main(settings_of(tmp_path, served, tiny_teacher_dir, max_bad_share=0.01))


@pytest.mark.chaos
def test_a_killed_job_goes_on_and_ends_with_a_code_of_its_own_beyond_a_limit(
    ray_session: None, tiny_teacher_dir: Path, tmp_path: Path, root: Path
) -> None:
    served, output = synthetic(tmp_path), tmp_path / "grades"
    options = [
        *("--served", str(served), "--tables", str(tmp_path), "--teacher", str(tiny_teacher_dir)),
        *("--output", str(output), "--date", str(DAY), "--engine.name", "transformers", "--rows_per_shard", "2"),
        *("--cluster.num_cpus", "2", "--no-cluster.dashboard", "--alert.drift_levels", "0.001"),
    ]
    labels = output / f"soft_labels/date={DAY}"
    kill_after(1, labels, "grade_served", options)
    committed = len(list(labels.glob("shard-*.parquet")))
    assert 1 <= committed < 24 and not (output / "report.json").exists()
    done = run_job(root, "grade_served", *options, cluster=ray.get_runtime_context().gcs_address)
    assert done.code == BEYOND, done.told
    assert f"48 pairs in 24 shards, {committed} of them done" in done.told
    assert tables.read(str(labels), SOFT_LABELS).num_rows == 48
    assert [alert["metric"] for alert in json.loads((output / "report.json").read_text())["alerts"]] == ["drift_levels"]
