from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.errors import TableError
from pinrank.pipeline import parse
from pinrank.tables import ENGAGEMENT, JUDGMENTS, PIN_TEXT, PINS, read, write
from pinrank.text import normalise_query
from pipelines.build_pin_text import BuildPinText, main
from pipelines.generate_world import GenerateWorld
from pipelines.generate_world import main as generate_world
from pipelines.import_judgments import ImportJudgments
from pipelines.import_judgments import main as import_judgments
from tests import tidy_folder as tidy

WORLD = {"num_pins": 200, "num_users": 500, "num_queries": 30, "num_impressions": 20_000}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    generate_world(GenerateWorld(output=str(tmp_path), world=WORLD))
    return tmp_path


def test_pins_without_a_log_get_their_own_words(tmp_path: Path) -> None:
    tables = str(tmp_path / "tables")
    import_judgments(ImportJudgments(data=tidy.write(tmp_path / "data"), output=tables))
    summary = main(BuildPinText(tables=tables))
    texts = read(f"{tables}/pin_text", PIN_TEXT)
    assert (summary.rows_in, summary.rows_out, summary.quarantined) == (4, 4, 0)
    assert texts.column("title").to_pylist() == ["Red shoes", "Hat", "", "Hat"]
    assert texts.column("caption").to_pylist() == ["shoes, red shoes", "", "", ""]
    assert summary.details["pins_with"]["query_tokens"] == 0


def test_log_beside_the_tables_is_used(world: Path) -> None:
    summary = main(BuildPinText(tables=str(world)))
    assert summary.details["engagement_rows"] > 0
    assert summary.details["pins_with"]["board_titles"] > 0
    assert summary.details["pins_with"]["query_tokens"] > 0


def test_no_token_comes_from_held_out_queries_alone(world: Path) -> None:
    main(BuildPinText(tables=str(world), words={"min_users": 1, "top_tokens": 1000}))
    judgments = read(str(world / "judgments"), JUDGMENTS).to_pylist()
    train = {normalise_query(row["query"]) for row in judgments if row["split"] == "train"}
    allowed = {token for query in train for token in query.split()}
    tokens = read(str(world / "pin_text"), PIN_TEXT).column("query_tokens").to_pylist()
    assert {token for text in tokens for token in text.split()} <= allowed


def test_unusable_log_rows_are_quarantined_and_counted(world: Path) -> None:
    log = read(str(world / "engagement"), ENGAGEMENT)
    broken = pa.Table.from_pylist([{**log.slice(0, 1).to_pylist()[0], "pin_id": None}], ENGAGEMENT.schema)
    write(pa.concat_tables([log, broken]), str(world / "log"), ENGAGEMENT)
    summary = main(BuildPinText(tables=str(world), engagement=str(world / "log")))
    assert summary.quarantined == 1
    assert summary.details["engagement_rows"] == log.num_rows
    with pytest.raises(TableError, match=r"column 'pin_id' is null or empty"):
        main(BuildPinText(tables=str(world), engagement=str(world / "log"), max_quarantined_share=0))


def test_named_log_that_is_missing_is_an_error(world: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere: there is no such file or folder for table 'engagement'"):
        main(BuildPinText(tables=str(world), engagement="nowhere"))


def test_missing_pins_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"pins: there is no such file or folder for table 'pins'"):
        main(BuildPinText(tables=str(tmp_path)))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str) -> None:
    found = parse(BuildPinText, ["--config", str(root / f"pipelines/configs/{profile}/build_pin_text.yaml")])
    assert found.tables == f"runs/{profile}/tables"


def test_pins_of_the_world_have_fingerprints_that_tell_them_apart(world: Path) -> None:
    main(BuildPinText(tables=str(world)))
    texts = read(str(world / "pin_text"), PIN_TEXT)
    assert texts.num_rows == read(str(world / "pins"), PINS).num_rows
    assert len(texts.column("fingerprint").unique()) > 0.8 * texts.num_rows
