"""Serving a YAML until told: what needs no Ray. The whole way is in test_app.py."""

import os
import signal
from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from pinrank.errors import PinrankError
from serve_apps.rerank.run import only_application, tell_processes, when_told


def config_of(root: Path, *names: str) -> ServeDeploySchema:
    content = yaml.safe_load((root / "serve_apps/rerank/app.yaml").read_text())
    (app,) = content["applications"]
    content["applications"] = [app | {"name": name, "route_prefix": f"/{name}"} for name in names]
    return ServeDeploySchema.model_validate(content)


def test_a_config_of_one_application_is_served_and_another_refused(root: Path) -> None:
    assert only_application(config_of(root, "rerank")).import_path == "serve_apps.rerank.app:build"
    with pytest.raises(PinrankError, match="has the applications one, two"):
        only_application(config_of(root, "one", "two"))


def test_the_first_signal_is_kept_and_the_second_does_what_it_did_before() -> None:
    before, interrupt = signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.getsignal(signal.SIGINT)
    try:
        told = when_told()
        assert not told.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert told.wait(1)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_the_operator_said_of_the_proxies_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "mine:middlewares")
    monkeypatch.setenv("RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S", "3")
    monkeypatch.setenv("PYTHONPATH", "mine")
    tell_processes()
    assert os.environ["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] == "mine:middlewares"
    assert os.environ["RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S"] == "3"
    assert os.environ["PYTHONPATH"].endswith(f"{os.pathsep}mine")
