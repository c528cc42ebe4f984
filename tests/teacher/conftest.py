"""One process for all that vLLM grades in the tests of the teacher."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

import pytest


@pytest.fixture(scope="session")
def vllm_process() -> Iterator[Executor]:
    """Calls a module's function in a process that keeps vLLM, which takes seconds to import and pins its threads."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        yield process
