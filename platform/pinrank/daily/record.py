"""What a day leaves behind: while it runs, what it began with; when it is done, its summary."""

import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinrank.daily.arrivals import LogFile
from pinrank.durable import write_text
from pinrank.errors import CommitError
from pinrank.evaluation.promotion import Decision
from pinrank.stages import StageRecord

SUMMARY = "summary.json"
BEGUN = "begun.json"

M = TypeVar("M", bound=BaseModel)


class Begun(BaseModel):
    """What a day that is not done was begun with; but for its log it stays so however often it is interrupted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log: tuple[LogFile, ...]

    trains: bool
    again: bool = Field(description="whether the day was done before, and files came since")
    student: str | None = Field(description="the version that was current")


class Step(BaseModel):
    """What a step of a day did; `skipped` says why it did nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    seconds: float = 0.0
    rows_in: int = 0
    rows_out: int = 0
    quarantined: int = 0
    peak_memory_bytes: int = 0
    skipped: str = ""
    details: dict[str, Any] = {}


class DayRecord(BaseModel):
    """The summary of a day that is done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    day: datetime.date
    finished_at: datetime.datetime
    times_done: int = Field(ge=1, description="more than once where files came late")
    log: tuple[LogFile, ...]
    steps: tuple[Step, ...]
    teacher: str
    student_before: str | None
    student: str | None = Field(description="the current one when the day was done")
    decision: Decision | None = Field(description="null on a day that trained no student")
    versions: dict[str, str]

    def step(self, name: str) -> Step | None:
        """A step by its name; None when the day had none."""
        return next((step for step in self.steps if step.name == name), None)

    @property
    def reused_share(self) -> float:
        """Share of the day's labels that an earlier job had graded."""
        labels = self.step("label_impressions")
        return labels.details.get("reused_pairs", 0) / labels.rows_out if labels and labels.rows_out else 0.0


def step_of(record: StageRecord) -> Step:
    """A stage's record as a step."""
    fields = {name: getattr(record, name) for name in Step.model_fields if name != "skipped"}
    return Step(**fields)


def read_record(folder: Path) -> DayRecord | None:
    """The summary of a day; None where it is not done. Raises CommitError for a damaged one."""
    return _read(folder / SUMMARY, DayRecord, "Remove it to do the day again.")


def read_begun(folder: Path) -> Begun | None:
    """What an unfinished day was begun with; None where none is. Raises CommitError for a damaged file."""
    return _read(folder / BEGUN, Begun, "Remove it to begin the day again.")


def begin(folder: Path, begun: Begun) -> None:
    """Note what a day begins with."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / BEGUN, begun.model_dump_json(indent=2) + "\n")


def finish(folder: Path, record: DayRecord) -> None:
    """Write the summary: the day is done."""
    write_text(folder / SUMMARY, record.model_dump_json(indent=2) + "\n")
    (folder / BEGUN).unlink(missing_ok=True)


def _read(path: Path, kind: type[M], mend: str) -> M | None:
    try:
        return kind.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except ValidationError as cause:
        raise CommitError(f"{path}: damaged: {' '.join(str(cause).split())[:200]}. {mend}") from cause
