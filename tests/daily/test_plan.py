"""Which days are done, and which one trains. Days are of January 2026, whose fourth is a Sunday."""

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.daily.arrivals import Arrived, arrived
from pinrank.daily.layout import Layout
from pinrank.daily.plan import Plan, days_between, planned, with_training, yesterday
from pinrank.daily.record import Begun, DayRecord, begin, finish
from pinrank.errors import CommitError

NOTHING = Arrived({}, ())


def january(number: int) -> datetime.date:
    return datetime.date(2026, 1, number)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A loop whose logs of the first five days are there."""
    found = Layout(tmp_path, tmp_path / "tables", str(tmp_path / "tables"), tmp_path / "teacher")
    for number in range(1, 6):
        arrive(found, number)
    return found


def arrive(layout: Layout, number: int, name: str = "a") -> None:
    folder = layout.tables / "impressions" / str(january(number))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.parquet").write_text(name)


def start(layout: Layout, number: int, trains: bool = False, again: bool = False) -> None:
    log = arrived(layout.logs, january(number)).files
    begin(layout.day(january(number)), Begun(log=log, trains=trains, again=again, student=None))


def do(layout: Layout, *numbers: int) -> None:
    """Days that are done."""
    for number in numbers:
        start(layout, number)
        record = DayRecord(
            day=january(number),
            finished_at=datetime.datetime.now(datetime.UTC),
            times_done=1,
            log=arrived(layout.logs, january(number)).files,
            steps=(),
            teacher="t@1",
            student_before=None,
            student=None,
            decision=None,
            versions={},
        )
        finish(layout.day(january(number)), record)


def numbers(layout: Layout, last: int, first: int | None = None, missing: str = "stop") -> list[int]:
    found = planned(layout, january(first) if first else None, january(last), missing)  # type: ignore[arg-type]
    return [plan.day.day for plan in found.days]


def test_yesterday_is_the_last_day_that_is_over_in_utc() -> None:
    tokyo = datetime.timezone(datetime.timedelta(hours=9))
    assert yesterday(datetime.datetime(2026, 1, 2, 8, tzinfo=tokyo)) == datetime.date(2025, 12, 31)
    assert yesterday(datetime.datetime(2026, 1, 2, 9, tzinfo=tokyo)) == january(1)


@given(st.dates(), st.integers(0, 60))
def test_days_between_are_all_days_in_order(first: datetime.date, more: int) -> None:
    last = min(first.toordinal() + more, datetime.date.max.toordinal())
    days = days_between(first, datetime.date.fromordinal(last))
    assert [day.toordinal() for day in days] == list(range(first.toordinal(), last + 1))


def test_a_new_loop_begins_with_the_day_that_is_asked_for(layout: Layout) -> None:
    assert numbers(layout, 3) == [3]
    assert numbers(layout, 3, first=1) == [1, 2, 3]


def test_missed_days_are_caught_up_in_order_and_done_ones_left_alone(layout: Layout) -> None:
    do(layout, 1, 3)
    assert numbers(layout, 5) == [2, 4, 5]


def test_a_day_whose_log_grew_is_done_again(layout: Layout) -> None:
    do(layout, 1, 2, 3)
    arrive(layout, 2, "late")
    (plan,) = planned(layout, None, january(3), "stop").days
    assert (plan.day, plan.again, plan.begun) == (january(2), True, False)
    assert [file.name for file in plan.log.files] == ["a.parquet", "late.parquet"]


def test_a_day_whose_log_changed_is_refused(layout: Layout) -> None:
    do(layout, 1)
    (layout.tables / "impressions/2026-01-01/a.parquet").write_text("other")
    with pytest.raises(CommitError, match="the log of 2026-01-01"):
        numbers(layout, 2)


def test_what_changed_since_an_unfinished_day_read_it_is_refused_too(layout: Layout) -> None:
    start(layout, 1)
    (layout.tables / "impressions/2026-01-01/a.parquet").write_text("other")
    with pytest.raises(CommitError, match="the log of 2026-01-01"):
        numbers(layout, 2)


def test_a_day_that_was_begun_is_finished_first_even_beyond_the_days_asked_for(layout: Layout) -> None:
    do(layout, 1, 2, 3)
    arrive(layout, 2, "late")
    start(layout, 4, trains=True)
    found = planned(layout, None, january(3), "stop").days
    assert [(plan.day.day, plan.begun, plan.trains) for plan in found] == [(4, True, True), (2, False, False)]


def test_a_day_that_was_killed_after_its_summary_is_done(layout: Layout) -> None:
    do(layout, 1)
    start(layout, 1)
    assert numbers(layout, 1) == []


def test_a_day_that_is_being_done_again_goes_on(layout: Layout) -> None:
    do(layout, 1)
    arrive(layout, 1, "late")
    start(layout, 1, again=True)
    (plan,) = planned(layout, None, january(1), "stop").days
    assert (plan.again, plan.begun) == (True, True)


def test_days_before_one_whose_log_has_not_arrived_are_done(layout: Layout) -> None:
    arrive(layout, 7)
    found = planned(layout, january(4), january(7), "stop")
    assert [plan.day.day for plan in found.days] == [4, 5]
    assert "no folder 2026-01-06" in str(found.stopped_by)


def test_a_day_that_is_passed_over_is_done_when_its_log_comes(layout: Layout) -> None:
    arrive(layout, 7)
    assert numbers(layout, 7, first=5, missing="skip") == [5, 7]
    do(layout, 5, 7)
    arrive(layout, 6)
    assert numbers(layout, 7, missing="skip") == [6]


def trained(days: list[Plan], has_student: bool = True) -> list[int]:
    return [plan.day.day for plan in with_training(days, "sunday", has_student) if plan.trains]


def test_the_last_sunday_of_the_days_trains() -> None:
    days = [Plan(january(number), NOTHING) for number in range(3, 16)]
    assert trained(days) == [11]
    assert trained(days[2:5]) == []


def test_without_a_student_the_last_day_trains_where_no_sunday_does() -> None:
    days = [Plan(january(number), NOTHING) for number in range(5, 8)]
    assert trained(days, has_student=False) == [7]
    assert trained([*days, Plan(january(11), NOTHING)], has_student=False) == [11]
    begun = Plan(january(4), NOTHING, begun=True, trains=True)
    assert trained([begun, *days], has_student=False) == [4]


def test_a_sunday_that_is_done_again_does_not_train() -> None:
    assert trained([Plan(january(4), NOTHING, again=True)]) == []
