"""Where the loop over days keeps what it makes.

ROOT/
  tables/            pins, judgments (yours); pin_text, sampled_pairs, pin_embeddings (of the last day that was done)
    impressions/2026-05-04/   engagement/2026-05-04/    the logs, a folder a day; date=2026-05-04/ is taken as well
  lexical/           how often words stand in pin_text, when a student was last trained
  teacher/           the teacher that grades
  pin_engagement/    what all logs so far said about pins
  soft_labels/date=2026-05-04/    the labels of a day
  registry/          students as bundles, and the current one
  pin_store/NAME@HASH/            the pin store that belongs to a student
  days/2026-05-04/   summary.json (the day is done), summary.html, stages/, choice/, quarantine/
"""

import datetime
from dataclasses import dataclass
from pathlib import Path

from pinrank.soft_labels import day_folder


@dataclass(frozen=True)
class Layout:
    """The folders of a loop; `logs` may be a URI, all others lie on a disk that every node sees."""

    root: Path
    tables: Path
    logs: str
    teacher: Path

    @property
    def registry(self) -> Path:
        """Students as bundles (pinrank.registry)."""
        return self.root / "registry"

    @property
    def aggregates(self) -> Path:
        """Evidence of all logs so far."""
        return self.root / "pin_engagement"

    @property
    def lexical(self) -> Path:
        """The statistics of pin_text that BM25 needs."""
        return self.root / "lexical"

    @property
    def soft_labels(self) -> Path:
        """The labels of all days."""
        return self.root / "soft_labels"

    @property
    def days(self) -> Path:
        """A folder for each day that was begun."""
        return self.root / "days"

    def labels(self, day: datetime.date) -> Path:
        """The labels of one day."""
        return self.soft_labels / day_folder(day)

    def store(self, student: str) -> Path:
        """The pin store of a student's version."""
        return self.root / "pin_store" / student

    def day(self, day: datetime.date) -> Path:
        """What is known of one day."""
        return self.days / day.isoformat()

    def work(self, name: str) -> str:
        """A folder for a job's partitions."""
        return str(self.root / "work" / name)
