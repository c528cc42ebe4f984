from pathlib import Path

import pytest

from pinrank.cli import doctor


def test_the_environment_of_the_tests_has_what_pinrank_requires() -> None:
    verdicts = {finding.what: finding.verdict for finding in (doctor.python(), *doctor.packages(), doctor.engine())}
    assert verdicts == {"python": "ok", "packages": "ok", "vllm": "ok"}


def test_a_package_of_another_version_is_named_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["numpy<1", "unheard-of>=2", "rich>=1"])
    numpy, unheard_of, right = doctor.packages()
    assert (numpy.what, numpy.verdict) == ("numpy", "failed") and "Install numpy<1" in numpy.mend
    assert (unheard_of.found, unheard_of.verdict) == ("not installed", "failed")
    assert right.found == "1 as pinrank requires them"


def test_storage_is_written_read_and_cleaned(tmp_path: Path) -> None:
    assert doctor.storage_at(str(tmp_path / "new")).verdict == "ok"
    assert doctor.storage_at((tmp_path / "new").as_uri()).verdict == "ok"
    assert list((tmp_path / "new").iterdir()) == []


def test_storage_that_cannot_be_written_fails_with_a_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = doctor.storage_at(str(tmp_path / "file"))
    assert finding.verdict == "failed" and str(tmp_path / "file") in finding.found and finding.mend


def test_a_token_that_is_wanted_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert doctor.token().verdict == "failed"
    (tmp_path / "token").write_text("secret")
    assert doctor.token().verdict == "ok"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert doctor.token().verdict == "warning"


def test_a_cluster_that_does_not_answer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = doctor.cluster_at("http://127.0.0.1:9")
    assert finding.verdict == "failed" and "no Jobs API answers" in finding.found
