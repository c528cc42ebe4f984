"""Timers that ring late: who inherits it, and who does not."""

import subprocess
import sys
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
