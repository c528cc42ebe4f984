"""pipelines.transfer from end to end on a tiny generated world."""

import json
from pathlib import Path

import pytest

from pinrank.datasets.world import generate
from pinrank.datasets.world.words import LOCALES
from pinrank.errors import JudgmentError
from pinrank.pipeline import parse
from pinrank.teacher.card import read_card
from pipelines.transfer import Transfer, main
from tests.pipelines.tiny_comparison import WORLD, read_report, write_config, write_tables


def test_a_teacher_of_some_locales_stands_beside_that_of_all_in_every_locale(
    tiny_bert_dir: Path, tmp_path: Path
) -> None:
    rows = generate(WORLD).judgments.to_pylist()
    counts = {locale: [row["split"] for row in rows if row["query_locale"] == locale] for locale in LOCALES}
    tested = {locale: splits.count("test") for locale, splits in counts.items() if locale != "en"}
    smallest = min(tested, key=lambda locale: tested[locale])
    config = write_config(
        tmp_path, write_tables(tmp_path / "tables"), tiny_bert_dir, min_locale_pairs=tested[smallest] + 1
    )
    done = main(parse(Transfer, ["--config", config]))
    found = read_report(tmp_path, "test")
    sections = {section["name"]: section for section in found["sections"]}
    assert set(sections) == {"en (trained on)", "other", *(locale for locale in tested if locale != smallest)}
    assert sections["other"]["num_pairs"] == tested[smallest]
    assert sum(section["num_pairs"] for section in sections.values()) == done.rows_out
    for section in sections.values():
        assert list(section["figures"]) == ["trained on en", "trained on all locales"]
        assert section["contrasts"][0]["against"] == {"trained on en": "trained on all locales"}
    assert found["facts"]["trained on en"]["train_pairs"] == counts["en"].count("train")
    some, everything = (read_card(str(tmp_path / "out/teachers" / name)).lineage for name in ("some", "all"))
    assert some["num_pairs"] == len(counts["en"]) - counts["en"].count("test") < everything["num_pairs"]


def test_locales_without_judgments_or_without_others_are_refused(tmp_path: Path) -> None:
    config = write_config(tmp_path, write_tables(tmp_path / "tables"), tmp_path)
    with pytest.raises(JudgmentError, match=r"no train pair has a query locale among sv \(found: de, en, ja, pt\)"):
        main(parse(Transfer, ["--config", config, "--train_locales", '["sv"]']))
    with pytest.raises(JudgmentError, match="no locale to transfer to"):
        main(parse(Transfer, ["--config", config, "--train_locales", json.dumps(LOCALES)]))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_the_configs_hold_settings_that_exist(root: Path, profile: str) -> None:
    settings = parse(Transfer, ["--config", str(root / f"pipelines/configs/{profile}/transfer.yaml")])
    assert (settings.output, settings.train_locales) == (Path(f"runs/{profile}/transfer").absolute(), ("en",))
