"""Timers that ring late: who inherits it, and who does not."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pinrank.timers import ringing_late

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has timer slack")

SLACK = Path("/proc/self/timerslack_ns")
SLACK_OF_A_PROCESS = [sys.executable, "-c", "print(open('/proc/self/timerslack_ns').read())"]


def slack_ms() -> float:
    """Of the main thread, which runs the tests."""
    return int(SLACK.read_text()) / 1e6


def test_a_thread_rings_late_only_inside_the_block() -> None:
    before_ms = slack_ms()
    with ringing_late(30):
        assert slack_ms() == 30
    assert slack_ms() == before_ms < 1


def test_the_slack_of_before_comes_back_when_the_block_fails() -> None:
    before_ms = slack_ms()
    with pytest.raises(KeyError), ringing_late(30):
        raise KeyError
    assert slack_ms() == before_ms


def test_zero_changes_nothing() -> None:
    before_ms = slack_ms()
    with ringing_late(0):
        assert slack_ms() == before_ms


def test_a_program_that_is_started_inside_keeps_the_slack() -> None:
    with ringing_late(30):
        started = subprocess.run(SLACK_OF_A_PROCESS, stdout=subprocess.PIPE, text=True, check=True)
    assert int(started.stdout) == 30_000_000


@pytest.mark.ray
def test_workers_of_a_local_session_ring_late_and_the_job_itself_does_not() -> None:
    job = """
        from pathlib import Path
        import ray
        from pinrank.cluster import ClusterSettings, connect

        def slack():
            return int(Path("/proc/self/timerslack_ns").read_text())

        connect(ClusterSettings(num_cpus=1, dashboard=False, timer_slack_ms=7))
        print(ray.get(ray.remote(slack).remote()), slack())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(job)], stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    worker_ns, job_ns = map(int, done.stdout.splitlines()[-1].split())
    assert worker_ns == 7_000_000
    assert job_ns < 1_000_000
