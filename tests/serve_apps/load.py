"""Clients that put a served application under load over real keep-alive connections, in a process of their own.

    python -m tests.serve_apps.load < plan.json > answers.json

The first line of stdin is a Plan; the clients stop after its seconds, or when stdin is closed. No client asks twice: a
connection that breaks under a request is a failed request.
"""

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FAILED = 0
"""The status of a request that got no answer."""

TOLERANCE = 1e-4
"""How far a score may lie from the version's own."""


@dataclass(frozen=True)
class Plan:
    """What the clients send.

    bodies: rerank requests, in turn. golden: by version the scores of each body in the order of its documents; without,
    answers are not compared. connections: clients at once, each of which asks again as soon as it is answered; with
    rate_per_s requests start at that rate instead, however many wait, up to so many connections.
    """

    url: str
    bodies: list[dict[str, Any]]
    golden: dict[str, list[list[float]]] = field(default_factory=dict)
    connections: int = 8
    rate_per_s: float | None = None
    seconds: float | None = None
    pause_s: float = 0.0
    timeout_s: float = 90.0


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent (time.time()), how long it took, its status or FAILED, and what was in it.

    model: the version that the answer names. wrong: why the answer is none of one version. told: of a refusal or
    failure, its first characters.
    """

    at_s: float
    took_s: float
    status: int
    model: str | None = None
    degraded: str | None = None
    wrong: str | None = None
    told: str | None = None
    retry_after: str | None = None


class Load:
    """Clients that run until `stop`, or for the seconds of their plan."""

    def __init__(self, plan: Plan) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.serve_apps.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(plan)) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "started\n"

    def stop(self) -> "list[Answer]":
        """End the clients, each after its answer, or wait for the end of the plan; every answer, by time."""
        told, _ = self._process.communicate()
        assert self._process.returncode == 0
        return [Answer(**answer) for answer in json.loads(told)]

    def wait(self) -> "list[Answer]":
        """Let the plan's seconds pass; every answer, by time."""
        assert self._process.stdout is not None and self._process.stdin is not None
        told = self._process.stdout.read()
        self._process.stdout.close()
        self._process.stdin.close()
        assert self._process.wait() == 0
        return [Answer(**answer) for answer in json.loads(told)]


@contextlib.contextmanager
def under_load(plan: Plan) -> "Iterator[list[Answer]]":
    """Clients that ask while the block runs; the list is filled when it ends."""
    load, answers = Load(plan), []  # type: ignore[var-annotated]
    try:
        yield answers
    finally:
        answers += load.stop()


def statuses(answers: Sequence[Answer]) -> dict[int, int]:
    """How many answers had which status."""
    return dict(Counter(answer.status for answer in answers))


def failed(answers: Sequence[Answer]) -> list[Answer]:
    """The requests that were not answered with 200, or by a mixture of versions."""
    return [answer for answer in answers if answer.status != 200 or answer.wrong]


def percentile_ms(answers: Sequence[Answer], share: float) -> float:
    """The time in milliseconds within which a share of the answers of status 200 came."""
    took = sorted(answer.took_s for answer in answers if answer.status == 200)
    return 1000 * took[min(int(share * len(took)), len(took) - 1)] if took else float("nan")


async def _run(plan: Plan) -> list[Answer]:
    import aiohttp

    answers: list[Answer] = []
    stop = asyncio.Event()
    numbers = itertools.count()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    connector = aiohttp.TCPConnector(limit=plan.connections)
    timeout = aiohttp.ClientTimeout(total=plan.timeout_s)

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def ask() -> None:
            answers.append(await _asked(session, plan, next(numbers) % len(plan.bodies)))

        async def client() -> None:
            while not stop.is_set():
                await ask()
                await asyncio.sleep(plan.pause_s)

        if plan.seconds is not None:
            loop.call_later(plan.seconds, stop.set)
        if plan.rate_per_s is None:
            await asyncio.gather(*(client() for _ in range(plan.connections)))
        else:
            await _at_a_rate(ask, plan.rate_per_s, stop)
    return answers


async def _at_a_rate(ask: Any, rate_per_s: float, stop: asyncio.Event) -> None:
    under_way: set[asyncio.Task[None]] = set()
    begun, sent = time.perf_counter(), 0
    while not stop.is_set():
        due = int((time.perf_counter() - begun) * rate_per_s)
        for _ in range(due - sent):
            task = asyncio.create_task(ask())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        sent = max(due, sent)
        await asyncio.sleep(0.005)
    await asyncio.gather(*under_way)


async def _asked(session: Any, plan: Plan, number: int) -> Answer:
    at_s, begun = time.time(), time.perf_counter()
    try:
        async with session.post(f"{plan.url}/v2/rerank", json=plan.bodies[number]) as response:
            text = await response.text()
            status, retry_after = response.status, response.headers.get("Retry-After")
    except Exception as cause:
        told = f"{type(cause).__name__}: {cause}"[:200]
        return Answer(at_s, time.perf_counter() - begun, FAILED, told=told)
    took_s = time.perf_counter() - begun
    if status != 200:
        return Answer(at_s, took_s, status, told=text[:200], retry_after=retry_after)
    answer = json.loads(text)
    meta = answer["meta"]
    wrong = _wrong(answer, plan.golden, number) if plan.golden else None
    return Answer(at_s, took_s, status, meta["model"], meta.get("degraded"), wrong)


def _wrong(answer: dict[str, Any], golden: dict[str, list[list[float]]], number: int) -> str | None:
    """Why an answer is not the one of the version that it names; None where it is."""
    model = answer["meta"]["model"]
    if model not in golden:
        return f"nobody knows version {model}"
    scores = golden[model][number]
    off = max(abs(result["relevance_score"] - scores[result["index"]]) for result in answer["results"])
    complete = len(answer["results"]) == len(scores)
    return None if off <= TOLERANCE and complete else f"scores are {off:.4f} off those of {model}"


def main() -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    print("started", flush=True)
    json.dump([asdict(answer) for answer in asyncio.run(_run(plan))], sys.stdout)


if __name__ == "__main__":
    main()
