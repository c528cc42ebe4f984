"""What the processes of a job's own Ray session are told."""

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest

pytestmark = pytest.mark.ray

JOB = """
    import json, os
    from pathlib import Path
    import ray
    from pinrank.cluster import ClusterSettings, connect

    def seen():
        slack_ms = int(Path("/proc/self/timerslack_ns").read_text()) / 1e6
        return {"slack_ms": slack_ms, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}

    connect(ClusterSettings(num_cpus=1, dashboard=False, timer_slack_ms=7))
    print(json.dumps({"worker": ray.get(ray.remote(seen).remote()), "job": seen()}))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, dict[str, Any]]:
    """What a worker and the job itself find in their process, on a machine that shows them a GPU."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0"}
    job = [sys.executable, "-c", textwrap.dedent(JOB)]
    done = subprocess.run(job, stdout=subprocess.PIPE, text=True, check=True, timeout=120, env=environment)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has timer slack")
def test_workers_ring_late_and_the_job_itself_does_not(seen: dict[str, dict[str, Any]]) -> None:
    assert seen["worker"]["slack_ms"] == 7
    assert seen["job"]["slack_ms"] < 1


def test_a_worker_that_reserves_no_gpu_sees_none(seen: dict[str, dict[str, Any]]) -> None:
    assert (seen["worker"]["gpus"], seen["job"]["gpus"]) == ("", "0")
