"""pipelines.ablate_features from end to end on a tiny generated world."""

import shutil
from pathlib import Path

import pytest

from pinrank.errors import SettingsError
from pinrank.pipeline import parse
from pinrank.student.export import open_student
from pipelines.ablate_features import AblateFeatures, main
from tests.pipelines.tiny_comparison import read_report
from tests.pipelines.tiny_students import write_settings, write_world

ALL = "all features"


def test_each_group_is_left_out_once_and_held_against_all(tiny_bert_dir: Path, tmp_path: Path) -> None:
    write_world(tmp_path, num_labels=100)
    config = write_settings(tmp_path, tiny_bert_dir, split="dev")
    done = main(parse(AblateFeatures, ["--config", config]))
    rows = [ALL, "without lexical", "without counts", "vectors only"]
    assert done.details["trained"] == [f"{row}, seed 0" for row in rows]
    overall = read_report(tmp_path, "dev")["sections"][0]
    assert list(overall["figures"]) == rows
    assert overall["contrasts"][0]["against"] == dict.fromkeys(rows[1:], ALL)
    found = [open_student(folder / "seed-0").spec for folder in sorted((tmp_path / "out/students").iterdir())]
    widths = [spec.num_features for spec in found]
    assert widths[0] == max(widths) and 0 in widths and len(set(widths)) == 4

    shutil.rmtree(tmp_path / "out/students/without_counts")
    again = main(parse(AblateFeatures, ["--config", config]))
    assert again.details["trained"] == ["without counts, seed 0"]


def test_nothing_to_leave_out_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("towers: [query, pin]\n")
    with pytest.raises(SettingsError, match="declares no feature"):
        main(AblateFeatures(output=tmp_path / "out", feature_spec=tmp_path / "spec.yaml"))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_the_configs_choose_on_dev(root: Path, profile: str) -> None:
    settings = parse(AblateFeatures, ["--config", str(root / f"pipelines/configs/{profile}/ablate_features.yaml")])
    assert (settings.output, settings.split) == (Path(f"runs/{profile}/features").absolute(), "dev")
