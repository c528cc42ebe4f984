"""The page of a day."""

import datetime

import numpy as np
import pytest

from pinrank.daily.arrivals import LogFile
from pinrank.daily.page import to_page
from pinrank.daily.record import DayRecord, Step
from pinrank.evaluation.comparison import BootstrapSettings
from pinrank.evaluation.judged import Judged, from_scores
from pinrank.evaluation.promotion import PromotionSettings, Student, decide


@pytest.fixture
def record() -> DayRecord:
    """A day that held a student."""
    levels_N, queries_N, same_N = np.tile([1, 3, 5], 20), np.repeat(np.arange(20), 3), np.full(60, "toy")
    people = Judged(levels_N, (levels_N - 1) / 4, queries_N, same_N, same_N, same_N)
    good, bad = from_scores(levels_N.astype(float), None), from_scores(-levels_N.astype(float), None)
    settings = PromotionSettings(bootstrap=BootstrapSettings(num_resamples=20))
    return DayRecord(
        day=datetime.date(2026, 5, 4),
        finished_at=datetime.datetime(2026, 5, 5, tzinfo=datetime.UTC),
        times_done=2,
        log=(LogFile(table="impressions", name="<a>.parquet", num_bytes=2**20, modified_ns=1, digest="0"),),
        steps=(
            Step(name="label_impressions", seconds=30, rows_in=8, rows_out=8, details={"reused_pairs": 2}),
            Step(name="embed_pins", skipped="nothing has changed"),
        ),
        teacher="teacher@1",
        student_before="s@good",
        student="s@good",
        decision=decide(people, Student("s@bad", bad), Student("s@good", good), settings),
        versions={},
    )


def test_it_says_what_a_person_wants_to_know(record: DayRecord) -> None:
    page = to_page(record)
    for said in (
        "pinrank on 2026-05-04",
        "1 files, 1.0 MiB",
        "Done 2 times",
        "8 labels of teacher@1, 25.0% of them graded before",
        "Held s@bad: nDCG@20 -",
        "skipped: nothing has changed",
        "Difference against the current student",
        "95% interval",
    ):
        assert said in page


def test_it_holds_all_that_it_shows_and_no_name_becomes_markup(record: DayRecord) -> None:
    page = to_page(record)
    assert "http" not in page.replace("http://www.w3.org", "") and "<script" not in page
    assert "<a>" not in page


def test_a_day_without_training_says_which_student_is_current(record: DayRecord) -> None:
    page = to_page(record.model_copy(update={"decision": None, "student": None}))
    assert "No student was trained; the current one is none yet." in page


def test_a_summary_survives_json(record: DayRecord) -> None:
    assert DayRecord.model_validate_json(record.model_dump_json()) == record
    assert record.reused_share == 0.25
