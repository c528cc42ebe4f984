"""The image is made of the lock, by a file that hadolint finds nothing in. It is not built here: CI has no Docker."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DOCKERFILE = "platform/deploy/docker/Dockerfile"
HADOLINT = Path(sys.executable).parent / "hadolint"


@pytest.fixture
def dockerfile(root: Path) -> str:
    """What the file says."""
    return (root / DOCKERFILE).read_text()


def lint(content: str) -> str:
    return subprocess.run([HADOLINT, "-"], input=content, capture_output=True, text=True, check=False).stdout


def test_hadolint_finds_nothing_and_would_find_something(dockerfile: str) -> None:
    assert lint(dockerfile) == ""
    assert "DL3007" in lint(dockerfile.replace("python:3.11.14-slim-bookworm", "python:latest"))


def test_what_it_copies_is_there_and_makes_the_environment_of_a_node(dockerfile: str, root: Path) -> None:
    copied = [
        words for line in dockerfile.splitlines() if (words := line.split())[:1] == ["COPY"] and "--from" not in line
    ]
    assert all((root / source).exists() for words in copied for source in words[1:-1])
    assert 'platform/deploy/install.sh "$LOCK"' in dockerfile
    ignored = (root / ".dockerignore").read_text().split()
    assert {".git", ".venv", "runs"} <= set(ignored)


def test_it_runs_as_the_user_and_in_the_folder_that_the_manifests_name(dockerfile: str, root: Path) -> None:
    manifest = yaml.safe_load((root / "platform/deploy/kuberay/cluster.yaml").read_text())
    pod = manifest["spec"]["headGroupSpec"]["template"]["spec"]
    (python_path,) = [each["value"] for each in pod["containers"][0]["env"] if each["name"] == "PYTHONPATH"]
    assert f"USER {pod['securityContext']['runAsUser']}\n" in dockerfile
    assert f"PYTHONPATH={python_path} " in dockerfile
    assert f"WORKDIR {python_path.split(':')[0]}\n" in dockerfile
