"""Timers that may ring late, so that many of them ring at once.

A program that waits with a time limit asks the kernel for a timer. Linux lets each ring late by the *timer slack* of
its thread, 50 microseconds by default, and rings together what is due together. Processes that only look a hundred
times a second whether there is something to do lose nothing by a larger slack, and disturb those that work less often.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SET_SLACK, _GET_SLACK = 29, 30  # PR_SET_TIMERSLACK and PR_GET_TIMERSLACK of prctl(2)


@contextmanager
def ringing_late(by_ms: int) -> Iterator[None]:
    """Until the block ends, timers of this thread may ring so much later than asked; 0 leaves them as they are.

    Threads and processes that are started inside keep it for good, and hand it on to theirs. Only Linux has such slack;
    elsewhere nothing happens.
    """
    if not by_ms or not sys.platform.startswith("linux"):
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    before_ns = prctl(_GET_SLACK, 0, 0, 0, 0)
    prctl(_SET_SLACK, ctypes.c_ulong(by_ms * 1_000_000), 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SET_SLACK, ctypes.c_ulong(before_ns), 0, 0, 0)
