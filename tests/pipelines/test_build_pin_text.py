from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pinrank.errors import TableError
from pinrank.pipeline import parse
from pinrank.tables import ENGAGEMENT, JUDGMENTS, PIN_ENGAGEMENT, PIN_TEXT, PINS, read, write
from pinrank.text import normalise_query
from pipelines.build_pin_text import BuildPinText, main
from pipelines.generate_world import GenerateWorld
from pipelines.generate_world import main as generate_world
from pipelines.import_judgments import ImportJudgments
from pipelines.import_judgments import main as import_judgments
from tests import tidy_folder as tidy

WORLD = {"seed": 1, "num_pins": 200, "num_users": 500, "num_queries": 30, "num_impressions": 20_000}


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


def days_of(world: Path) -> list[pa.Table]:
    """The log in three parts, by time."""
    log = read(str(world / "engagement"), ENGAGEMENT).sort_by("ts")
    third = log.num_rows // 3
    return [log.slice(0, third), log.slice(third, third), log.slice(2 * third)]


def test_yesterdays_aggregates_and_todays_log_give_what_the_whole_log_gives(world: Path) -> None:
    whole = {"tables": str(world), "words": {"steady_share": 0.0}, "aggregates": world / "whole"}
    main(BuildPinText(**whole))
    expected = read(str(world / "pin_text"), PIN_TEXT)
    for number, day in enumerate(days_of(world)):
        write(day, str(world / "day"), ENGAGEMENT)
        added = {**whole, "engagement": str(world / "day"), "aggregates": world / "kept"}
        main(BuildPinText(**added))
        if number == 1:
            main(BuildPinText(**added))  # a day that is added again changes nothing
    assert read(str(world / "pin_text"), PIN_TEXT).equals(expected)
    assert read(str(world / "kept"), PIN_ENGAGEMENT).equals(read(str(world / "whole"), PIN_ENGAGEMENT))


def test_texts_do_not_depend_on_how_the_log_is_cut(world: Path) -> None:
    main(BuildPinText(tables=str(world)))
    expected = read(str(world / "pin_text"), PIN_TEXT).sort_by("pin_id")
    (world / "pin_text").rename(world / "before")
    summary = main(BuildPinText(tables=str(world), rows={"rows_per_piece": 700, "rows_per_partition": 900}))
    assert summary.details["partitions"] > 1
    assert read(str(world / "pin_text"), PIN_TEXT).sort_by("pin_id").equals(expected)


def test_small_change_of_the_log_changes_no_fingerprint_and_a_large_one_does(world: Path) -> None:
    settings = BuildPinText(tables=str(world), words={"min_users": 1, "min_queries": 1})
    main(settings)
    first = read(str(world / "pin_text"), PIN_TEXT)
    log = read(str(world / "engagement"), ENGAGEMENT)
    write(log.slice(0, log.num_rows - 3), str(world / "engagement"), ENGAGEMENT)
    main(settings)
    second = read(str(world / "pin_text"), PIN_TEXT)
    changed = sum(
        a != b for a, b in zip(first["fingerprint"].to_pylist(), second["fingerprint"].to_pylist(), strict=True)
    )
    assert changed <= 1
    write(log.slice(0, 100), str(world / "engagement"), ENGAGEMENT)
    main(settings)
    third = read(str(world / "pin_text"), PIN_TEXT)
    assert len(set(third["fingerprint"].to_pylist()) - set(first["fingerprint"].to_pylist())) > 20


def test_query_that_is_judged_since_does_not_stay_in_a_steady_text(world: Path) -> None:
    settings = BuildPinText(tables=str(world), words={"min_users": 1, "min_queries": 1, "steady_share": 0.9})
    main(settings)
    log = read(str(world / "engagement"), ENGAGEMENT).to_pylist()
    row = next(row for row in log if row["query"])
    judgments = read(str(world / "judgments"), JUDGMENTS)
    judged = judgments.slice(0, 1).to_pylist()[0] | {
        "judgment_id": "new",
        "pin_id": row["pin_id"],
        "query": row["query"],
    }
    known = judgments.filter(pc.not_equal(judgments["query"], row["query"])).to_pylist()
    write(
        pa.Table.from_pylist([*known, judged | {"split": "test"}], JUDGMENTS.schema),
        str(world / "judgments"),
        JUDGMENTS,
    )
    main(settings)
    steady = read(str(world / "pin_text"), PIN_TEXT)
    (world / "pin_text").rename(world / "before")
    main(settings)
    assert read(str(world / "pin_text"), PIN_TEXT).equals(steady)


def test_aggregates_with_another_idea_of_a_long_click_are_refused(world: Path) -> None:
    main(BuildPinText(tables=str(world), aggregates=world / "kept"))
    with pytest.raises(TableError, match=r"a click was long from 10.0 s on, words.min_dwell_s is 5.0"):
        main(BuildPinText(tables=str(world), aggregates=world / "kept", words={"min_dwell_s": 5.0}))


def test_pin_that_is_there_twice_is_named(world: Path) -> None:
    pins = read(str(world / "pins"), PINS)
    write(pa.concat_tables([pins, pins.slice(0, 1)]), str(world / "pins"), PINS)
    with pytest.raises(TableError, match=r"repeats the id of an earlier row: 1 do \('pin:0'\)"):
        main(BuildPinText(tables=str(world)))


def test_failed_run_leaves_the_earlier_texts(world: Path) -> None:
    main(BuildPinText(tables=str(world)))
    first = read(str(world / "pin_text"), PIN_TEXT)
    pins = read(str(world / "pins"), PINS)
    write(pa.concat_tables([pins, pins.slice(0, 1)]), str(world / "pins"), PINS)
    with pytest.raises(TableError):
        main(BuildPinText(tables=str(world)))
    assert read(str(world / "pin_text"), PIN_TEXT).equals(first)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_ray_gives_the_same_texts(world: Path) -> None:
    cut = {"rows_per_piece": 700, "rows_per_partition": 900}
    main(BuildPinText(tables=str(world), rows=cut, aggregates=world / "kept"))
    expected = read(str(world / "pin_text"), PIN_TEXT)
    (world / "pin_text").rename(world / "before")
    main(BuildPinText(tables=str(world), rows=cut | {"rows_without_ray": 0}, aggregates=world / "by_ray"))
    assert read(str(world / "pin_text"), PIN_TEXT).equals(expected)
    assert read(str(world / "by_ray"), PIN_ENGAGEMENT).equals(read(str(world / "kept"), PIN_ENGAGEMENT))


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_bad_row_is_the_same_error_under_ray(world: Path) -> None:
    pins = read(str(world / "pins"), PINS)
    write(pa.concat_tables([pins, pins.slice(0, 1)]), str(world / "pins"), PINS)
    with pytest.raises(TableError, match="repeats the id of an earlier row"):
        main(BuildPinText(tables=str(world), rows={"rows_without_ray": 0}))
