"""Jobs on a cluster, through Ray's Jobs API."""

import asyncio
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from pinrank.errors import ClusterError, SettingsError

RUNTIME_ENV = "runtime_env.yaml"
TAIL_LINES = 20

ENDS = {"SUCCEEDED": 0, "FAILED": 1, "STOPPED": 3}
"""The exit code that each end of a job has here."""


def client(address: str) -> Any:
    """A client of the cluster whose dashboard is at an address. Raises ClusterError when it does not answer."""
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError, ValueError) as cause:
        raise ClusterError(
            f"{address}: no Jobs API answers ({' '.join(str(cause).split())[:300]}). Start the cluster, forward its "
            "dashboard's port (ray dashboard cluster.yaml), or set RAY_AUTH_MODE=token where it wants a token."
        ) from cause


def submit(address: str, root: Path, command: list[str], metadata: dict[str, str]) -> str:
    """Send a job with the checkout as its working directory; its id."""
    environment = runtime_env(root)
    submitted: str = client(address).submit_job(
        entrypoint=shlex.join(command), runtime_env=environment | {"working_dir": str(root)}, metadata=metadata
    )
    return submitted


def runtime_env(root: Path) -> dict[str, Any]:
    """What runtime_env.yaml says; SettingsError when it cannot be read."""
    path = root / RUNTIME_ENV
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as cause:
        raise SettingsError(f"{path}: cannot be read ({' '.join(str(cause).split())}).") from cause
    return content


def follow(address: str, job: str) -> int:
    """Print a job's log as it comes, until it ends; the exit code of its end."""
    jobs = client(address)

    async def tail() -> None:
        async for lines in jobs.tail_job_logs(job):
            print(lines, end="", flush=True)

    asyncio.run(tail())
    ended = str(jobs.get_job_status(job).value)
    print(f"{job}: {ended.lower()}", file=sys.stderr)
    return ENDS.get(ended, 1)


def listed(address: str) -> list[dict[str, str]]:
    """Every job that the cluster knows, the latest first, as rows of a table."""
    found = sorted(client(address).list_jobs(), key=lambda each: -(each.start_time or 0))
    return [_row(each) for each in found if each.submission_id]


def described(address: str, job: str) -> tuple[dict[str, str], list[str]]:
    """One job, and the last lines of its log. Raises ClusterError for an id that the cluster does not know."""
    jobs = client(address)
    try:
        info = jobs.get_job_info(job)
    except RuntimeError as cause:
        raise ClusterError(f"{job}: the cluster knows no such job. pinrank status lists them.") from cause
    return _row(info) | {"says": info.message or ""}, jobs.get_job_logs(job).splitlines()[-TAIL_LINES:]


def _row(info: Any) -> dict[str, str]:
    metadata = info.metadata or {}
    started = datetime.fromtimestamp(info.start_time / 1000, UTC) if info.start_time else None
    ended = datetime.fromtimestamp(info.end_time / 1000, UTC) if info.end_time else datetime.now(UTC)
    return {
        "job": info.submission_id,
        "status": str(info.status.value).lower(),
        "pipeline": metadata.get("pipeline", ""),
        "settings": metadata.get("settings", ""),
        "output": metadata.get("output", ""),
        "started": f"{started:%Y-%m-%d %H:%M:%S}" if started else "",
        "seconds": f"{(ended - started).total_seconds():.0f}" if started else "",
    }
