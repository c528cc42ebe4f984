"""Several callers, one vLLM engine that never drains between them.

vLLM's own entry point returns when the last prompt of a call is done: with one call a shard, the batches run empty at
the end of each. Here one thread steps the engine while any call has prompts left, and fills its batches from the next.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from pinrank.teacher.engine import EngineDead


@dataclass
class _Call:
    prompts: Sequence[tuple[Any, Any]]
    outputs: list[Any]
    left: int
    done: Future = field(default_factory=Future)


class Stepper:
    """An engine and the thread that opened it and steps it."""

    def __init__(
        self,
        open_engine: Callable[[], Any],
        calls_at_once: int,
        stepping: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """open_engine gives a vllm.LLM; every step of it is taken inside `stepping`.

        With one call at a time, a call's batches depend on nothing but its prompts. Raises what open_engine raises.
        """
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._slots = threading.BoundedSemaphore(calls_at_once)
        self._alone = calls_at_once == 1
        self._stepping = stepping
        opened: Future[Any] = Future()
        threading.Thread(target=self._run, args=(open_engine, opened), daemon=True).start()
        self.model = opened.result()

    def run(self, prompts: Sequence[tuple[Any, Any]]) -> list[Any]:
        """vLLM's output of each (prompt, params), in their order. Any number of threads may call.

        Raises what vLLM raises for one of the prompts or for a step, and EngineDead when its process has ended.
        """
        if not prompts:
            return []
        with self._slots:
            call = _Call(prompts, [None] * len(prompts), len(prompts))
            self._calls.put(call)
            call.done.result()
        return call.outputs

    def _run(self, open_engine: Callable[[], Any], opened: Future) -> None:
        try:
            model = open_engine()
        except BaseException as error:  # told to the thread that waits for the engine
            opened.set_exception(error)
            return
        opened.set_result(model)
        _Loop(model.llm_engine, self._calls, self._alone, self._stepping).run()


class _Loop:
    """The life of the thread. Prompts wait outside the engine, but for what fills its next two batches."""

    def __init__(
        self,
        engine: Any,
        calls: "SimpleQueue[_Call]",
        alone: bool,
        stepping: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.engine = engine
        self.calls = calls
        self.alone = alone
        self.stepping = stepping
        self.most = 2 * engine.vllm_config.scheduler_config.max_num_seqs
        self.waiting: deque[tuple[_Call, int]] = deque()
        self.inside: dict[str, tuple[_Call, int]] = {}
        self.next_id = 0

    def run(self) -> None:
        while True:
            if not self.waiting and not self.inside:
                self._take(self.calls.get())
            while not self.calls.empty():
                self._take(self.calls.get())
            self._fill()
            if self.inside:
                self._step()

    def _take(self, call: _Call) -> None:
        if self.alone:  # or the last bits of a grade would depend on the calls before
            self.engine.reset_prefix_cache()
        self.waiting += [(call, row) for row in range(len(call.prompts))]

    def _fill(self) -> None:
        while self.waiting and len(self.inside) < self.most:
            call, row = self.waiting.popleft()
            name, self.next_id = str(self.next_id), self.next_id + 1
            with self._failing([call]):
                self.engine.add_request(name, *call.prompts[row])
                self.inside[name] = (call, row)

    def _step(self) -> None:
        with self._failing([call for call, _ in self.inside.values()]), self.stepping():
            for output in self.engine.step():
                call, row = self.inside.pop(output.request_id)
                call.outputs[row] = output
                call.left -= 1
                if not call.left:
                    call.done.set_result(None)

    @contextmanager
    def _failing(self, calls: Sequence[_Call]) -> Iterator[None]:
        """What goes wrong inside ends these calls, and nothing of them stays in the engine."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            yield
        except Exception as cause:  # whatever it is, the callers wait for it
            dead = isinstance(cause, EngineDeadError)
            error = EngineDead(str(cause)) if dead else cause
            failed = {id(call): call for call in calls if not call.done.done()}
            self.waiting = deque((call, row) for call, row in self.waiting if id(call) not in failed)
            names = [name for name, (call, _) in self.inside.items() if id(call) in failed]
            for name in names:
                del self.inside[name]
            if names and not dead:
                self.engine.abort_request(names)
            for call in failed.values():
                call.done.set_exception(error)
