"""One thread steps an engine for many callers. The engine here is a small one of its own: it adds one to a number."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from vllm.v1.engine.exceptions import EngineDeadError

from pinrank.teacher.engine import EngineDead, EngineSettings
from pinrank.teacher.score import VllmEngine, open_tokenizer
from tests.tiny_models import tiny_bert, tiny_teacher

BATCH = 4


class Adder:
    """vLLM's engine as far as a Stepper knows it. `batches` are the numbers of each step."""

    def __init__(self, step_error: Callable[[list[int]], Exception | None] = lambda numbers: None) -> None:
        self.vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=BATCH))
        self.step_error = step_error
        self.held: dict[str, int] = {}
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def reset_prefix_cache(self) -> None:
        assert not self.held

    def add_request(self, name: str, number: int, params: None) -> None:
        if number < 0:
            raise ValueError("negative")
        self.held[name] = number

    def abort_request(self, names: list[str]) -> None:
        for name in names:
            del self.held[name]

    def step(self) -> list[Any]:
        self.gate.wait()
        self.threads.add(threading.get_ident())
        names = list(self.held)[:BATCH]
        self.batches.append([self.held[name] for name in names])
        if error := self.step_error(self.batches[-1]):
            raise error
        return [SimpleNamespace(request_id=name, value=self.held.pop(name) + 1) for name in names]


def stepper(engine: Adder, calls_at_once: int) -> Any:
    from pinrank.teacher.stepper import Stepper

    return Stepper(lambda: SimpleNamespace(llm_engine=engine), calls_at_once)


def run(stepper: Any, numbers: list[int]) -> list[int]:
    return [output.value for output in stepper.run([(number, None) for number in numbers])]


def test_every_caller_gets_its_own_in_its_order() -> None:
    engine = Adder()
    shared = stepper(engine, 3)
    calls = [list(range(start, start + 10)) for start in range(0, 200, 10)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda numbers: run(shared, numbers), calls))
    assert found == [[number + 1 for number in call] for call in calls]
    assert len(engine.threads) == 1


def test_batches_are_full_across_calls() -> None:
    engine = Adder()
    shared = stepper(engine, 2)
    engine.gate.clear()
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(run, shared, list(range(start, start + 6))) for start in (0, 10)]
        while shared._calls.qsize() < 1:
            pass  # the second call waits while the first is in the engine's step
        engine.gate.set()
        assert [sorted(call.result()) for call in calls]
    assert [len(batch) for batch in engine.batches] == [4, 4, 4]


def test_alone_a_calls_batches_are_its_own() -> None:
    engine = Adder()
    shared = stepper(engine, 1)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda start: run(shared, list(range(start, start + 6))), (0, 10, 20, 30)))
    assert sorted(engine.batches) == [
        batch for start in (0, 10, 20, 30) for batch in ([*range(start, start + 4)], [*range(start + 4, start + 6)])
    ]


def test_a_prompt_that_is_refused_ends_its_call_alone() -> None:
    engine = Adder()
    shared = stepper(engine, 2)
    with ThreadPoolExecutor(2) as threads:
        good, bad = threads.submit(run, shared, list(range(50))), threads.submit(run, shared, [7, -1, 8])
        with pytest.raises(ValueError, match="negative"):
            bad.result()
        assert good.result() == list(range(1, 51))
    assert run(shared, [1]) == [2]
    assert not engine.held


def test_a_step_that_fails_ends_its_calls_and_leaves_nothing_inside() -> None:
    engine = Adder(lambda numbers: RuntimeError("no such number") if 13 in numbers else None)
    shared = stepper(engine, 1)
    with pytest.raises(RuntimeError, match="no such number"):
        run(shared, [1, 2, 13, *range(20)])
    assert run(shared, [1, 2]) == [2, 3]
    assert not engine.held


def test_a_dead_engine_is_told_from_a_failing_one() -> None:
    shared = stepper(Adder(lambda numbers: EngineDeadError()), 1)
    with pytest.raises(EngineDead):
        run(shared, [1])


def test_an_engine_that_does_not_open_says_why() -> None:
    from pinrank.teacher.stepper import Stepper

    def broken() -> Any:
        raise MemoryError("too large")

    with pytest.raises(MemoryError, match="too large"):
        Stepper(broken, 1)


@pytest.mark.slow
def test_vllm_mixes_calls_without_changing_a_grade(tmp_path: Path) -> None:
    tiny_teacher(tmp_path / "teacher", tiny_bert(tmp_path / "bert", hidden=64))
    engine = VllmEngine(str(tmp_path / "teacher"), EngineSettings(kv_cache_bytes=2**26, batch_size=8))
    pairs = [(f"query {number % 7}", f"title {number} words " * (1 + number % 5)) for number in range(120)]
    prompts = open_tokenizer(str(tmp_path / "teacher")).prompts(pairs)
    alone_NL = engine.grade(prompts)
    engine.stepper._slots = threading.BoundedSemaphore(4)
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(lambda start: engine.grade(prompts[start : start + 30]), range(0, 120, 30)))
    np.testing.assert_allclose(np.concatenate(parts), alone_NL, atol=1e-5)
