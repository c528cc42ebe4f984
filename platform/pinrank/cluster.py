"""The Ray session of a job: the cluster it was submitted to, or a small one of its own.

cluster.connect(cluster.ClusterSettings(num_cpus=2))
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pinrank.errors import PinrankError
from pinrank.timers import ringing_late

T = TypeVar("T")

log = logging.getLogger(__name__)

SOURCE_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds the package, so that a local session's workers can import it without an installation."""

QUIET_THREADS = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait for each other sleep. By default they spin, and when anything else wants one of the cores (Ray's
own processes do), a training step waits for a spinning thread's time slice at every parallel region."""

OWN_GPUS = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}
"""A process that reserves no GPU sees none. By default Ray leaves it all of its machine's, and whatever then takes one
takes memory from the engine that reserved it."""

KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**33)}
"""For training workers: glibc keeps what a step has freed. By default every large tensor is mapped anew, and the kernel
zeroes its pages at every step."""


class ClusterSettings(BaseModel):
    """What a job takes for itself when it is not inside a running cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_cpus: int | None = Field(None, ge=1, description="CPUs of a local session; null takes all of the machine")
    object_store_bytes: int = Field(
        400 * 2**20, ge=80 * 2**20, description="shared memory of a local session; a running cluster keeps its own"
    )
    timer_slack_ms: int = Field(
        20,
        ge=0,
        le=100,
        description="how much later than asked a local session's processes may wake, so that they wake together and "
        "seldom stop the threads that work; 0 leaves the kernel's 0.05",
    )
    dashboard: bool = Field(
        True, description="the Ray dashboard of a local session, on loopback; Ray Train asks it whether its runs live"
    )


def connect(settings: ClusterSettings | None = None) -> None:
    """Join the cluster that RAY_ADDRESS names (`ray job submit` sets it), else start a local session.

    A process that is connected already stays where it is, so pipelines can be called one after the other. A local
    session ends with the process; its ports are as open as Ray makes them (SECURITY.md).
    """
    import ray

    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init()
        log.info("joined the Ray cluster at %s", ray.get_runtime_context().gcs_address)
        return
    start_local(settings or ClusterSettings())


def in_a_task(work: Callable[..., T], *arguments: object, **options: Any) -> T:
    """Call something on the cluster: the head, where a driver runs, has neither memory nor CPUs to spare.

    options: Ray's, for what it takes; one CPU by default.

    Raises the PinrankError of the call as it is.
    """
    import ray
    import ray.exceptions

    task = ray.remote(**{"num_cpus": 1, **options})(work)
    try:
        result: T = ray.get(task.remote(*arguments))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, PinrankError):
            raise error.cause from error
        raise
    return result


def start_local(settings: ClusterSettings) -> None:
    """Start a session on this machine with bounded shared memory."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with ringing_late(settings.timer_slack_ms):  # all of Ray's processes inherit it
        ray.init(
            address="local",
            num_cpus=settings.num_cpus,
            object_store_memory=settings.object_store_bytes,
            include_dashboard=settings.dashboard,
            runtime_env={"env_vars": {"PYTHONPATH": _python_path(), **QUIET_THREADS, **OWN_GPUS}},
        )
    log.info("started a local Ray session with %s CPUs", ray.cluster_resources().get("CPU"))


def _python_path() -> str:
    known = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(path for path in (str(SOURCE_ROOT), known) if path)
