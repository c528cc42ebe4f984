"""pipelines.compare_teachers from end to end on a tiny generated world."""

from pathlib import Path

import pytest

from pinrank.errors import ModelError, SettingsError
from pinrank.evaluation.comparison import HEADINGS
from pinrank.pipeline import parse
from pipelines.compare_teachers import CompareTeachers, main
from tests.pipelines.tiny_comparison import read_report, write_config, write_tables


def test_rows_are_trained_once_and_held_against_the_first_and_the_best(
    tiny_bert_dir: Path, tiny_teacher_dir: Path, tmp_path: Path
) -> None:
    tables = write_tables(tmp_path / "tables")
    rows: list[dict[str, object]] = [{"name": "tiny"}, {"name": "ready", "folder": str(tiny_teacher_dir)}]
    config = write_config(tmp_path, tables, tiny_bert_dir, rows=rows, dollars_per_hour=3.6, baselines=False)
    done = main(parse(CompareTeachers, ["--config", config]))
    assert (done.details["trained"], done.details["not_trained"]) == (["tiny"], ["ready"])
    found = read_report(tmp_path, "test")
    overall, *by_source = found["sections"]
    assert list(overall["figures"]) == ["tiny", "ready"] and overall["num_pairs"] == done.rows_out
    assert len(by_source) > 1 and sum(part["num_pairs"] for part in by_source) == done.rows_out
    first, *best = overall["contrasts"]
    assert first["against"] == {"ready": "tiny"} and set(first["gains"]["ready"]) == set(HEADINGS)
    assert [contrast["against"] for contrast in best] in ([], [{"tiny": "ready"}])
    for facts in found["facts"].values():
        assert facts["parameters"] > 1000
        cost = 3.6 / 3600 / facts["pairs_per_s"] * 1e6
        assert facts["dollars_per_million_pairs"] == pytest.approx(cost, rel=0.01)
    assert found["facts"]["tiny"]["train_pairs"] > 100 and found["facts"]["ready"]["train_pairs"] is None
    assert any("ready" in note for note in found["notes"]) and any("generated" in note for note in found["notes"])

    rows[1] = {"name": "mean", "teacher": {"pooling": "mean"}}
    config = write_config(tmp_path, tables, tiny_bert_dir, rows=rows)
    again = main(parse(CompareTeachers, ["--config", config, "--split", "dev"]))
    assert (again.details["trained"], again.details["not_trained"]) == (["mean"], ["tiny"])
    on_dev = read_report(tmp_path, "dev")
    assert on_dev["facts"]["tiny"]["version"] == found["facts"]["tiny"]["version"]
    figures = on_dev["sections"][0]["figures"]
    assert list(figures) == ["tiny", "mean", "bm25", "frozen"]
    assert figures["bm25"]["spearman"]["value"] is not None
    assert figures["bm25"]["accuracy"]["value"] is None  # its levels would be learnt on what is measured
    assert any("Measured on dev" in note for note in on_dev["notes"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least 1 item"),
        ([{"name": "a"}, {"name": "a"}], "two rows are named a"),
        ([{"name": "bm25"}], "two rows are named bm25"),
        ([{"name": "../a"}], "match pattern"),
        ([{"name": "a", "teacher": {"epoch": 1}}], "row 'a': epoch: Extra inputs"),
        ([{"name": "a", "teacher": {"epochs": 1}, "folder": "b"}], "not both"),
    ],
)
def test_rows_that_cannot_be_are_refused_before_anything_runs(
    rows: list[dict[str, object]], message: str, tmp_path: Path
) -> None:
    config = write_config(tmp_path, "nowhere", tmp_path, rows=rows)
    with pytest.raises(SettingsError, match=message):
        parse(CompareTeachers, ["--config", config])


def test_a_folder_without_a_teacher_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    rows = [{"name": "a"}, {"name": "b", "folder": str(tmp_path)}]
    config = write_config(tmp_path, "nowhere", tmp_path, rows=rows)
    with pytest.raises(ModelError, match="this is no teacher"):
        main(parse(CompareTeachers, ["--config", config]))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_the_configs_hold_settings_that_exist(root: Path, profile: str) -> None:
    settings = parse(CompareTeachers, ["--config", str(root / f"pipelines/configs/{profile}/compare_teachers.yaml")])
    assert settings.output == Path(f"runs/{profile}/comparison").absolute()
