"""How long an engine is at work, whatever number of threads ask it at the same time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Busy:
    """Seconds in which at least one thread was inside."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._inside = 0
        self._counted_to = 0.0
        self._seconds = 0.0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be at work."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def take(self) -> float:
        """The seconds since they were taken last, those of work that goes on included."""
        self._change(0)
        with self._lock:
            taken, self._seconds = self._seconds, 0.0
        return taken

    def _change(self, by: int) -> None:
        with self._lock:
            now = self._clock()
            if self._inside:
                self._seconds += now - self._counted_to
            self._counted_to = now
            self._inside += by
