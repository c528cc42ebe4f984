"""Reading a stream of Ray Data: without its bars, and with the errors that a stage raised for people."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from pinrank.errors import PinrankError
from pinrank.timers import ringing_late

if TYPE_CHECKING:
    from ray.data import Dataset

POLL_SLACK_MS = 20
"""Ray Data's thread, and the one that reads from it, look for news up to a hundred times a second."""


def batches_of(stream: "Dataset", stall_timeout_s: float | None = None) -> Iterator[pa.Table]:
    """Run a stream; its blocks as they come.

    Raises the PinrankError of a stage as it is, another failure as Ray's RayError, and ExecutionTimeoutError when
    nothing moves for stall_timeout_s.
    """
    from ray.exceptions import RayError

    context = stream.context
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True
    if stall_timeout_s is not None:
        context.execution_no_progress_timeout_s = stall_timeout_s
    try:
        with ringing_late(POLL_SLACK_MS):
            blocks = iter(stream.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
        while True:
            with ringing_late(POLL_SLACK_MS):
                block = next(blocks, None)
            if block is None:
                return
            yield block
    except RayError as error:
        cause = getattr(error, "cause", error)
        if isinstance(cause, PinrankError):
            raise cause from error
        raise
