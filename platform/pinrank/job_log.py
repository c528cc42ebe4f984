"""What a job says while it runs: lines for a person, or JSON lines for what collects logs.

PINRANK_LOG=json python -m pipelines.evaluate ...

A line says what was done and how much of it; never a query, a text, a user or a secret, at any level up to INFO.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime

from pinrank.errors import SettingsError

VARIABLE = "PINRANK_LOG"
"""text (default) or json. An environment variable and no setting: how a place collects logs is no part of a job."""

SUBMISSION = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where Ray tells a driver which submitted job it is."""


def start(pipeline: str) -> None:
    """Let this process's logs go to stderr in the format that the environment asks for.

    Raises SettingsError for a format that there is not.
    """
    chosen = os.environ.get(VARIABLE, "text")
    if chosen not in ("text", "json"):
        raise SettingsError(f"{VARIABLE}={chosen}: no format of logs. There are text and json.")
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(text if chosen == "text" else JsonLines(pipeline))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class JsonLines(logging.Formatter):
    """A record as one JSON object: time (UTC, ISO 8601), level, logger, message, pipeline, and a submitted job's id."""

    def __init__(self, pipeline: str) -> None:
        super().__init__()
        self.always = {"pipeline": pipeline} | _submitted()

    def format(self, record: logging.LogRecord) -> str:
        """The line. `error` holds a traceback."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self.always,
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def _submitted() -> dict[str, str]:
    try:
        told = json.loads(os.environ.get(SUBMISSION, "{}"))
    except json.JSONDecodeError:
        return {}
    job = told.get("metadata", {}).get("job_submission_id")
    return {"job": job} if job else {}
