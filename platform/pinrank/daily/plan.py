"""Which days are to be done, in which order, and which of them trains a student.

A day is done when its summary is there and its log is the one that the summary names. Files that came since are added
by doing the day again; a day that was begun is finished before any other, because the tables hold its pairs.
"""

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pinrank.daily.arrivals import Arrived, arrived, compared, refuse_missing
from pinrank.daily.layout import Layout
from pinrank.daily.record import BEGUN, SUMMARY, read_begun, read_record
from pinrank.errors import TableError

log = logging.getLogger(__name__)

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Plan:
    """A day to do. again: it was done, and files came since; begun: it was interrupted."""

    day: datetime.date
    log: Arrived
    again: bool = False
    begun: bool = False
    trains: bool = False


@dataclass(frozen=True)
class Planned:
    """The days to do, in order, and why no more than these (None: there are no more)."""

    days: tuple[Plan, ...]
    stopped_by: TableError | None = None


def yesterday(now: datetime.datetime) -> datetime.date:
    """The last day (UTC) that is over."""
    return now.astimezone(datetime.UTC).date() - datetime.timedelta(days=1)


def days_between(first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """All days from the first to the last, both included; none when the first is later."""
    return [first + datetime.timedelta(days=number) for number in range((last - first).days + 1)]


def days_with(layout: Layout, file: str) -> list[datetime.date]:
    """The days in whose folder a file lies, in order."""
    return sorted(datetime.date.fromisoformat(path.parent.name) for path in layout.days.glob(f"*/{file}"))


def planned(
    layout: Layout, first: datetime.date | None, last: datetime.date, missing: Literal["stop", "skip"]
) -> Planned:
    """The days to do up to `last`; none of them trains yet.

    `first` None: the first day that was ever begun, or `last`. missing: whether a day without a log ends the plan, or
    is passed over (it is done when its log comes). Raises CommitError for a log that has changed since it was read.
    """
    begun = days_with(layout, BEGUN)
    start = first or min([*begun, *days_with(layout, SUMMARY), last])
    found: list[Plan] = []
    for day in sorted({*begun, *days_between(start, last)}):
        plan = _plan(layout, day)
        if plan is None:
            continue
        try:
            refuse_missing(day, layout.logs, plan.log)
        except TableError as error:
            if missing == "stop" or plan.begun:
                return Planned(_in_order(found), error)
            log.warning("%s is passed over: %s", day, error)
            continue
        found.append(plan)
    return Planned(_in_order(found))


def with_training(days: Sequence[Plan], train_on: Weekday, has_student: bool) -> list[Plan]:
    """The same days, one of which trains: the last that is the weekday on which a student is trained.

    Of several such days only the last, because the others' students would be replaced at once. Without a current
    student the last of all days, where none is that weekday. A day that is done again never trains.
    """
    able = [plan.day for plan in days if not plan.again and not plan.begun]
    chosen = [day for day in able if WEEKDAYS[day.weekday()] == train_on]
    if not chosen and not has_student and not any(plan.trains for plan in days):
        chosen = able
    return [replace(plan, trains=plan.trains or plan.day in chosen[-1:]) for plan in days]


def _plan(layout: Layout, day: datetime.date) -> Plan | None:
    """None for a day that is done."""
    record, begun = read_record(layout.day(day)), read_begun(layout.day(day))
    if record and begun and not begun.again:
        begun = None  # killed after the summary was written
    last = begun or record
    now = arrived(layout.logs, day, last.log if last else ())
    if last and compared(day, last.log, now) == "same" and not begun:
        return None
    return Plan(day, now, again=record is not None, begun=begun is not None, trains=begun is not None and begun.trains)


def _in_order(days: Sequence[Plan]) -> tuple[Plan, ...]:
    return tuple(sorted(days, key=lambda plan: (not plan.begun, plan.day)))
