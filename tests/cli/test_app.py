"""The command line as a person runs it."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinrank import registry
from pinrank.cli.app import app, main


def pinrank(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(root / "platform"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pinrank", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)


def model(folder: Path, version: str) -> Path:
    folder.mkdir()
    (folder / "card.json").write_text(json.dumps({"version": version}))
    return folder


COMMANDS = ("run", "submit", "status", "doctor")
OF_RELEASES = ("publish", "promote", "rollback", "canary", "shadow", "traffic", "bundles")


def test_help_shows_every_command_with_an_example(root: Path) -> None:
    told = CliRunner().invoke(app, ["--help"]).stdout
    for command in (*COMMANDS, *OF_RELEASES):
        assert f"\n  {command} " in told
        assert f"Example: pinrank {command}" in CliRunner().invoke(app, [command, "--help"]).stdout, command
    assert "\n  plan " in told
    planned = pinrank("plan", "--help", root=root).stdout  # its process becomes the job's, which adds its settings
    assert "Example: pinrank plan" in planned and "--teacher" in planned


def test_the_installed_command_and_the_module_are_one(root: Path) -> None:
    [entry] = entry_points(group="console_scripts", name="pinrank")
    assert entry.load() is main
    assert pinrank("--help", root=root).stdout.startswith("Usage: pinrank [OPTIONS] COMMAND")


def test_without_the_repository_jobs_are_missing_by_name_and_releases_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["submit", "evaluate"], ["run"], ["plan"]):
        monkeypatch.setattr("sys.argv", ["pinrank", *command])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2
        said = capsys.readouterr().err
        assert f"{tmp_path}: holds no folder pipelines" in said and "Get the repository" in said
        assert said.count("\n") == 1
    assert "current  none" in CliRunner().invoke(app, ["traffic", str(tmp_path)]).stdout


def test_the_shell_completes_commands(root: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(root / "platform"), "_PINRANK_COMPLETE": "complete_bash"}
    environment |= {"COMP_WORDS": "pinrank ca", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "pinrank"]
    told = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert told.stdout.split() == ["canary"], told.stderr


def test_the_shell_completes_jobs_and_bundles(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add(tmp_path / "registry", model(tmp_path / "a", "student@0000000a"), {})
    monkeypatch.chdir(root)

    def offered(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(["pinrank", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        monkeypatch.setenv("_PINRANK_COMPLETE", "complete_bash")
        return CliRunner().invoke(app, [], prog_name="pinrank").stdout.split()

    assert offered("submit", "label_i") == ["label_impressions"]
    assert offered("promote", str(tmp_path / "registry"), "s") == ["student@0000000a"]
    assert offered("promote", str(tmp_path / "none"), "s") == []


def test_a_job_runs_with_its_own_options_and_exit_codes(root: Path) -> None:
    listed = pinrank("run", root=root)
    assert listed.returncode == 0 and "label_impressions" in listed.stdout
    told = pinrank("run", "evaluate", "--help", root=root)
    assert told.returncode == 0 and "--judgments" in told.stdout
    wrong = pinrank("run", "evaluate", "--judgements", "x", root=root)
    assert wrong.returncode == 2 and "unrecognized arguments: --judgements x" in wrong.stderr
    assert pinrank("run", "evalute", root=root).returncode == 2


def test_labelling_is_planned_by_the_jobs_own_plan(root: Path, tmp_path: Path) -> None:
    planned = pinrank("plan", "--teacher", str(tmp_path / "none"), root=root)
    assert planned.returncode == 2 and str(tmp_path / "none") in planned.stderr


def test_bundles_are_listed_promoted_and_rolled_back(root: Path, tmp_path: Path) -> None:
    bundles = str(tmp_path / "registry")
    assert "bundles: none" in pinrank("bundles", bundles, root=root).stdout
    for version in ("student@00000001", "student@00000002"):
        registry.add(Path(bundles), model(tmp_path / version, version), {"day": "2026-05-04"})
        promoted = pinrank("promote", bundles, version, "--reason", "better on dev", root=root)
        assert promoted.returncode == 0 and f"{version} is current" in promoted.stdout
    back = pinrank("rollback", bundles, "--reason", "clicks fell", root=root)
    assert "student@00000001 is current again" in back.stdout
    listed = pinrank("bundles", bundles, root=root).stdout
    assert "current  student@00000001" in listed and "clicks fell" in listed
    refused = pinrank("promote", bundles, "student@00000003", "--reason", "x", root=root)
    assert refused.returncode == 2 and refused.stderr.startswith("ModelError")


def test_a_cluster_that_does_not_answer_is_exit_code_2(root: Path) -> None:
    asked = pinrank("status", "--address", "http://127.0.0.1:9", root=root)
    assert asked.returncode == 2 and "no Jobs API answers" in asked.stderr
