"""The application as its YAML starts it, its settings and what it refuses to start with."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from pydantic import ValidationError
from ray.serve.schema import ServeDeploySchema

from pinrank import lexical
from pinrank.embeddings import store
from pinrank.errors import ModelError, StoreCorrupt
from pinrank.student.export import open_student
from serve_apps.rerank.app import build, require_one_student
from serve_apps.rerank.one_student import open_bound
from serve_apps.rerank.settings import RerankSettings
from tests.serve_apps.load import Load, Plan, failed
from tests.serve_apps.shop import Shop, free_port

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 40


@pytest.fixture
def config(root: Path) -> ServeDeploySchema:
    return ServeDeploySchema.model_validate(yaml.safe_load((root / "serve_apps/rerank/app.yaml").read_text()))


def settings_of(shop: Shop) -> RerankSettings:
    return RerankSettings(student=str(shop.student), pin_store=str(shop.pin_store))


def test_the_yaml_is_a_serve_config_that_listens_on_loopback(config: ServeDeploySchema) -> None:
    assert config.http_options.host == "127.0.0.1"
    assert config.http_options.port == 8000
    assert config.logging_config is not None
    assert not config.logging_config.enable_access_log


def test_the_args_in_the_yaml_are_the_defaults_of_the_settings_but_for_the_deployments(
    config: ServeDeploySchema,
) -> None:
    said = RerankSettings.model_validate(config.applications[0].args)
    assert said.model_copy(update={"deployments": {}}) == RerankSettings()


def test_the_deployments_fit_on_one_core(config: ServeDeploySchema) -> None:
    deployments = RerankSettings.model_validate(config.applications[0].args).deployments
    assert list(deployments) == ["Rerank", "QueryEncoder", "PinEmbeddings", "Ranker"]
    assert sum(options["ray_actor_options"]["num_cpus"] for options in deployments.values()) <= 1


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError, match="studnet"):
        RerankSettings.model_validate({"studnet": "runs/demo/student"})


def test_a_student_and_its_own_store_make_an_application(shop: Shop) -> None:
    assert require_one_student(settings_of(shop)).startswith("tiny@")
    assert build(settings_of(shop)) is not None


def test_a_store_of_shorter_vectors_cuts_the_student_that_serves(shop: Shop, tmp_path: Path) -> None:
    cut = open_student(shop.student).cut(8)
    rows = cut.pin_rows(cut.encode_pins(["a red lamp"]))
    terms = lexical.field_terms([{"title": "a red lamp", "locale": None}], cut.stats.words)
    store.build(tmp_path / "store", ["pin"], rows, terms, cut.version)
    version = require_one_student(RerankSettings(student=str(shop.student), pin_store=str(tmp_path / "store")))
    assert version == cut.version
    bound = open_bound(str(shop.student), version)
    assert (bound.version, bound.vector_dim, bound.encode_queries(["lamp"]).shape) == (version, 8, (1, 8))
    with pytest.raises(ModelError, match="the application was deployed with other@00000000"):
        open_bound(str(shop.student), "other@00000000:8")


def test_a_store_of_another_student_is_refused(shop: Shop, tmp_path: Path) -> None:
    shutil.copytree(shop.pin_store, tmp_path / "store")
    manifest = json.loads((tmp_path / "store/manifest.json").read_text())
    (tmp_path / "store/manifest.json").write_text(json.dumps(manifest | {"student_version": "other@00000000"}))
    with pytest.raises(ModelError, match=r"holds rows of student other@00000000, but .* is tiny@\w{8}. Run embed_pins"):
        build(RerankSettings(student=str(shop.student), pin_store=str(tmp_path / "store")))


def test_missing_folders_are_named(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        build(RerankSettings(student=str(tmp_path / "nowhere"), pin_store=str(shop.pin_store)))
    with pytest.raises(StoreCorrupt, match="nowhere"):
        build(RerankSettings(student=str(shop.student), pin_store=str(tmp_path / "nowhere")))


@contextlib.contextmanager
def serve_run(config: Path, root: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`serve_apps.rerank.run` on a Ray of its own; whatever of it is left at the end is killed."""
    environment = os.environ | {"RAY_ADDRESS": "local"}
    for name in ("PYTHONPATH", "RAY_AUTH_MODE", "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "serve_apps.rerank.run", str(config)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for left in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
        process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready", timeout=5).status_code == httpx.codes.OK:
                return
        time.sleep(0.5)
    pytest.fail(f"not ready: {log.read_text()[-4000:]}")


@pytest.mark.ray
@pytest.mark.slow
def test_a_terminated_service_answers_what_was_asked_and_leaves_nothing_behind(
    shop: Shop, root: Path, tmp_path: Path
) -> None:
    # That nothing stays of `serve run` after an interrupt (SIGINT) is shown by the demo, which ends its app so.
    content = yaml.safe_load((root / "serve_apps/rerank/app.yaml").read_text())
    content["http_options"]["port"] = port = free_port()
    args = {"student": str(shop.student), "pin_store": str(shop.pin_store)}
    content["applications"][0]["args"] |= args | {"max_in_flight": 128, "max_texts_in_flight": 100_000}
    (tmp_path / "app.yaml").write_text(yaml.safe_dump(content))
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    with serve_run(tmp_path / "app.yaml", root, log) as process:
        wait_until_ready(url, process, log)
        answer = httpx.post(
            f"{url}/v2/rerank", json={"query": "red shoes", "documents": [{"id": "pin-1"}, "red shoes"]}
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        assert len(answer.json()["results"]) == 2
        family = psutil.Process(process.pid).children(recursive=True)
        body = {"query": "red shoes", "documents": [pin["title"] for pin in shop.pins.values()]}
        load = Load(Plan(url, [body], connections=120))
        time.sleep(1)
        told_s = time.time()
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT_S)
        asked = [answer for answer in load.stop() if answer.at_s < told_s]
        assert sum(answer.at_s + answer.took_s > told_s for answer in asked) >= 100
        assert failed(asked) == []
        _, alive = psutil.wait_procs(family, timeout=STOP_TIMEOUT_S)
        assert not alive
