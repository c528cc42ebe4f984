"""The log of lists that were shown: what stands in it, that it is whole, and that no request waits for it."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pinrank.levels import NUM_LEVELS
from pinrank.served.lists import read_day
from serve_apps.rerank import served_log
from serve_apps.rerank.answer import GradedDocuments
from serve_apps.rerank.asked import Asked, Ranked
from serve_apps.rerank.served_log import ServedLog, drift_in, remove_before, shown_list
from serve_apps.rerank.served_settings import ServedLogSettings
from serve_apps.rerank.settings import RerankSettings

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was counted; the metrics themselves want a Ray session."""
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(served_log, "count_served", lambda outcome, lists=1: seen.append((outcome, lists)))
    return seen


def asked(**more: object) -> Asked:
    given = {"query": "red shoes", "ids": ["a", None, "b", "c"], "texts": [None, "my private text", None, "instead"]}
    return Asked(**given | more)


def ranked() -> Ranked:
    """Levels 2, 5, 4, 3 for a, the text, b and c, which no pin has."""
    probabilities_NL = np.eye(NUM_LEVELS)[[1, 4, 3, 2]]
    graded = GradedDocuments(probabilities_NL, np.ones(4, bool), np.full(4, np.nan), [True, None, True, False])
    return Ranked(graded, "s@12345678", {})


def log_in(folder: Path, clock: Clock | None = None, **said: object) -> ServedLog:
    settings = {"folder": str(folder), "share": 1.0, "flush_s": 60.0}
    return ServedLog(ServedLogSettings.model_validate(settings | said), clock or Clock())


def test_nothing_is_logged_unless_the_settings_say_so() -> None:
    assert RerankSettings().served_log is None


def test_a_list_has_the_pins_in_the_order_shown_and_no_text_of_a_document() -> None:
    shown = shown_list(asked(query_locale="en"), ranked(), "canary", NOON, most_pins=9)
    assert shown is not None and "private" not in shown.model_dump_json()
    assert (shown.pin_ids, shown.positions, shown.levels, shown.scores) == (("b", "a"), (1, 3), (4, 2), (0.75, 0.25))
    assert (shown.query, shown.query_locale, shown.version, shown.role) == ("red shoes", "en", "s@12345678", "canary")
    told = shown_list(asked(top_n=3), ranked(), "current", NOON, most_pins=9)
    assert told is not None and told.pin_ids == ("b",)
    assert shown_list(asked(top_n=1), ranked(), "current", NOON, most_pins=9) is None


def test_a_query_that_is_no_unicode_is_logged_as_far_as_it_is() -> None:
    shown = shown_list(asked(query="red \ud83d shoes"), ranked(), "current", NOON, most_pins=9)
    assert shown is not None and shown.query == "red ? shoes"


def test_what_cannot_be_logged_fails_no_request(tmp_path: Path, counted: list[tuple[str, int]]) -> None:
    log = log_in(tmp_path)
    log.offer(asked(query=""), ranked(), "current")
    log.close()
    assert counted == [("failed", 1)]


def test_a_relative_folder_means_the_same_in_every_replica() -> None:
    assert ServedLogSettings(folder="runs/served").absolute().folder == str(Path.cwd() / "runs/served")


def test_a_pin_that_the_student_did_not_grade_has_no_level() -> None:
    late = ranked()
    late.graded.graded_N[:] = False
    shown = shown_list(asked(), late, "current", NOON, most_pins=1)
    assert shown is not None and (shown.pin_ids, shown.levels) == (("a",), (None,))


def test_what_was_flushed_can_be_read_before_the_file_is_finished_and_after(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.offer(asked(), ranked(), "current")
    log.flush()
    [path] = (tmp_path / "2026-05-04").iterdir()
    assert path.name.endswith(".jsonl.open") and path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "2026-05-04").stat().st_mode & 0o777 == 0o700
    assert read_day(tmp_path, NOON.date()).num_lists == 1
    log.offer(asked(), ranked(), "current")
    log.close()
    [path] = (tmp_path / "2026-05-04").iterdir()
    assert path.suffix == ".jsonl" and read_day(tmp_path, NOON.date()).num_lists == 2


def test_a_file_ends_with_its_time_and_with_its_day(tmp_path: Path) -> None:
    clock = Clock()
    log = log_in(tmp_path, clock, rotate_s=0.01)
    for later in (timedelta(0), timedelta(seconds=1), timedelta(days=1)):
        clock.now = NOON + later
        log.offer(asked(), ranked(), "current")
        log.flush()
        time.sleep(0.02)
    log.close()
    assert {path.name: len(list(path.glob("*.jsonl"))) for path in tmp_path.iterdir()} == {
        **{"2026-05-04": 2, "2026-05-05": 1}
    }


def test_days_that_are_too_old_go_and_what_is_no_day_stays(tmp_path: Path) -> None:
    for name in ("2026-04-03", "2026-04-04", "notes"):
        (tmp_path / name).mkdir()
    log = log_in(tmp_path, keep_days=30)
    log.offer(asked(), ranked(), "current")
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-04-04", "2026-05-04", "notes"]
    remove_before(tmp_path, NOON.date() + timedelta(days=1))
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_share_of_the_lists_is_logged_by_a_thread(tmp_path: Path, counted: list[tuple[str, int]]) -> None:
    log = log_in(tmp_path, share=0.2, flush_s=0.01)
    for _ in range(1_000):
        log.offer(asked(), ranked(), "current")
    until = time.monotonic() + 20
    while not counted and time.monotonic() < until:
        time.sleep(0.01)
    log.close()
    assert 120 < read_day(tmp_path, NOON.date()).num_lists < 280
    assert {outcome for outcome, _ in counted} == {"logged"}


def test_a_disk_that_refuses_costs_lists_and_no_request(tmp_path: Path, counted: list[tuple[str, int]]) -> None:
    (tmp_path / "file").write_text("no folder")
    log = log_in(tmp_path / "file")
    log.offer(asked(), ranked(), "current")
    log.flush()
    assert counted == [("failed", 1)]
    log.close()


def test_more_lists_than_the_disk_takes_are_let_go(
    tmp_path: Path, counted: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_log, "MOST_WAITING", 2)
    log = log_in(tmp_path)
    for _ in range(3):
        log.offer(asked(), ranked(), "current")
    log.close()
    assert counted == [("dropped", 1), ("logged", 2)]


def test_the_drift_of_the_last_report_becomes_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr(served_log, "set_drift", told.append)
    report = tmp_path / "report.json"
    assert drift_in(report) is None
    report.write_text("{")
    assert drift_in(report) is None
    report.write_text(json.dumps({"today": {"drift_levels": {"value": 0.25, "ci95": [None, None]}}}))
    log = log_in(tmp_path / "log", report=str(report), flush_s=0.01)
    log.offer(asked(), ranked(), "current")
    until = time.monotonic() + 20
    while not told and time.monotonic() < until:
        time.sleep(0.01)
    log.close()
    assert told == [0.25]
