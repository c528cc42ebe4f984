"""A day as one HTML page that holds all it shows."""

import json
from collections.abc import Iterator

from pinrank.daily.record import DayRecord, Step
from pinrank.evaluation.page import document, section_part, table
from pinrank.evaluation.sheets import LEGEND, Cell, Sheet

HEADINGS = ("step", "rows in", "rows out", "quarantined", "seconds", "GiB", "")


def to_page(record: DayRecord) -> str:
    """The summary of a day for a person."""
    body = table(Sheet("Steps", HEADINGS, tuple(_row(step) for step in record.steps)))
    if record.decision:
        body += section_part(record.decision.section, {}) + f"<p>{LEGEND}</p>\n"
    kept = record.model_dump(mode="json", exclude={"steps", "decision"})
    return document(f"pinrank on {record.day}", list(notes(record)), body, json.dumps(kept, indent=2))


def notes(record: DayRecord) -> Iterator[str]:
    """What a person wants to know first, a sentence each."""
    num_bytes = sum(file.num_bytes for file in record.log)
    yield f"The log: {len(record.log)} files, {num_bytes / 2**20:,.1f} MiB."
    if record.times_done > 1:
        yield f"Done {record.times_done} times, as files came late."
    if labels := record.step("label_impressions"):
        yield f"{labels.rows_out:,} labels of {record.teacher}, {record.reused_share:.1%} of them graded before."
    yield f"{sum(step.quarantined for step in record.steps):,} rows are in quarantine."
    yield decision_note(record)
    yield f"{sum(step.seconds for step in record.steps):,.0f} s in all."


def decision_note(record: DayRecord) -> str:
    """What became of the students, and why."""
    if record.decision is None:
        return f"No student was trained; the current one is {record.student or 'none yet'}."
    verb = "Promoted" if record.decision.promote else "Held"
    return f"{verb} {record.decision.candidate}: {record.decision.reason}. Current: {record.student}."


def _row(step: Step) -> tuple[Cell, ...]:
    if step.skipped:
        return (Cell(step.name), *(Cell("-") for _ in HEADINGS[1:-1]), Cell(f"skipped: {step.skipped}"))
    numbers = (f"{step.rows_in:,}", f"{step.rows_out:,}", f"{step.quarantined:,}", f"{step.seconds:,.1f}")
    return (Cell(step.name), *map(Cell, numbers), Cell(f"{step.peak_memory_bytes / 2**30:.1f}"), Cell(""))
