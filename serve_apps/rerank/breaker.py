"""Leave something alone for a while that failed again and again."""

import time
from collections.abc import Callable


class Breaker:
    """Open after so many failures in a row; after a rest one attempt may show whether it works again.

    most_failures: in a row. rest_s: how long nobody tries after them, and after an attempt that fails then.
    """

    def __init__(
        self, most_failures: int = 5, rest_s: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_failures = most_failures
        self._rest_s = rest_s
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it has failed too often since it last worked."""
        return self._failures >= self._most_failures

    def allows(self) -> bool:
        """Whether to try. After a rest this is said to one who asks, and to the next only after another rest."""
        if not self.is_open:
            return True
        if self._clock() < self._until:
            return False
        self._until = self._clock() + self._rest_s
        return True

    def succeeded(self) -> None:
        """It worked."""
        self._failures = 0

    def failed(self) -> bool:
        """It did not; whether this was the failure that opened it."""
        self._failures += 1
        self._until = self._clock() + self._rest_s
        return self._failures == self._most_failures
