"""A part of the graph, in this replica or behind a handle, called in one way."""

from collections.abc import Callable, Coroutine
from typing import Any

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from pinrank.errors import PinrankError

GONE = (RayActorError, DeploymentUnavailableError)
"""What a call raises whose replica died under it, or where there is none."""

OVERLOADED = BackPressureError
"""What a call raises that finds the queue full."""


class Remote:
    """A deployment whose methods are coroutines.

    A call whose replica dies under it is made once more: all of them only read, so that twice is as good as once.
    """

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    async def prepare(self, version: str) -> None:
        """Have every replica open a version. Raises what opening raises anywhere, or that nobody is there.

        A replica that dies meanwhile is let go: the one in its place opens what is current by then.
        """
        answers = await self._handle.broadcast("prepare", version).results_async(return_exceptions=True)
        faults = [answer for answer in answers if isinstance(answer, BaseException)]
        serious = [fault for fault in faults if not isinstance(fault, GONE)]
        if serious or len(faults) == len(answers):
            raise plain((serious or faults)[0])

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._handle, name)

        async def call(*given: Any) -> Any:
            try:
                try:
                    return await method.remote(*given)
                except GONE:
                    return await method.remote(*given)
            except PinrankError as fault:
                raise plain(fault) from None

        return call


def plain(fault: BaseException) -> BaseException:
    """Our own error as it was raised: Ray's has the traceback there as its message, with process, address and paths."""
    cause = getattr(fault, "cause", None)
    return cause if isinstance(cause, PinrankError) else fault


def part(given: Any) -> Any:
    """The part itself, or a deployment's handle made to look like it."""
    return Remote(given) if isinstance(given, DeploymentHandle) else given
