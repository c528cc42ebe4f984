"""The command line as a person runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from pinrank import registry


def pinrank(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(root / "platform"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pinrank.cli.app", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)


def model(folder: Path, version: str) -> Path:
    folder.mkdir()
    (folder / "card.json").write_text(json.dumps({"version": version}))
    return folder


def test_help_shows_every_command_with_an_example(root: Path) -> None:
    told = pinrank("--help", root=root).stdout
    for command in ("run", "plan", "submit", "status", "bundles", "promote", "rollback", "doctor"):
        assert command in told
    for command in ("submit", "status", "bundles", "promote", "rollback", "doctor"):
        assert "Example: pinrank " in pinrank(command, "--help", root=root).stdout


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
