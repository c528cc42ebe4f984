from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.cli.recipes import command_of, metadata_of, option, recipes
from pinrank.errors import SettingsError


def test_the_jobs_are_the_files_of_pipelines_with_what_they_say_first(root: Path) -> None:
    found = recipes(root)
    assert "label_impressions" in found and "__init__" not in found
    assert found["label_impressions"] == "Grade sampled pairs with the teacher."
    assert all(found.values())


def test_a_folder_without_jobs_and_an_unknown_job_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no folder pipelines with jobs"):
        recipes(tmp_path)
    with pytest.raises(SettingsError, match=r"'label' is no job. There are .*label_impressions"):
        command_of(root, "label", [])


def test_metadata_names_the_output_that_the_command_line_or_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("output: s3://bucket/labels\n")
    from_file = metadata_of(tmp_path, "label", ["--config", "a.yaml"])
    assert (from_file["pipeline"], from_file["output"]) == ("label", "s3://bucket/labels")
    assert metadata_of(tmp_path, "label", ["--config=a.yaml", "--output", "here"])["output"] == "here"
    assert "output" not in metadata_of(tmp_path, "label", [])


def test_the_hash_of_the_settings_changes_with_the_file_and_with_the_arguments(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 1")
    before = metadata_of(tmp_path, "label", ["--config", "a.yaml"])["settings"]
    assert before == metadata_of(tmp_path, "label", ["--config", "a.yaml"])["settings"]
    assert before != metadata_of(tmp_path, "label", ["--config", "a.yaml", "--size", "2"])["settings"]
    (tmp_path / "a.yaml").write_text("seed: 2")
    assert before != metadata_of(tmp_path, "label", ["--config", "a.yaml"])["settings"]


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"b\.yaml: the settings file cannot be read"):
        metadata_of(tmp_path, "label", ["--config", "b.yaml"])


@given(st.lists(st.sampled_from(["--a", "--a=1", "--b", "2", "x"]), max_size=6))
def test_the_last_value_of_an_option_counts(arguments: list[str]) -> None:
    found = option(arguments, "a")
    values = [each.partition("=")[2] for each in arguments if each.startswith("--a=")]
    values += [after for each, after in pairwise(arguments) if each == "--a"]
    assert (found is None) == (not values)
    assert found is None or found in values
