"""What of the lists that were shown is written down (serve_apps.rerank.served_log)."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ServedLogSettings(BaseModel):
    """Which lists are written down, where, and for how long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str = Field(min_length=1, description="a folder a day in here; every replica writes files of its own")
    share: float = Field(0.01, gt=0.0, le=1.0, description="of the lists, by chance")
    most_pins: int = Field(50, ge=1, description="of a list, the first so many")
    rotate_s: float = Field(600.0, gt=0.0, description="a file is finished after so long, or when its day is over")
    flush_s: float = Field(1.0, gt=0.0, description="lists are on the disk after so long")
    report: str | None = Field(
        None, description="report.json of grade_served: its drift is told as a metric, read once a minute"
    )
    keep_days: int = Field(30, ge=1, description="days older than this are removed from the folder")

    def absolute(self) -> "ServedLogSettings":
        """The same with folders that mean the same in every process."""
        report = None if self.report is None else str(Path(self.report).resolve())
        return self.model_copy(update={"folder": str(Path(self.folder).resolve()), "report": report})
