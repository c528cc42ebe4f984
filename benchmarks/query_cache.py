"""A query's vector from the cache and from the tower, and how often a replayed log finds it in the cache.

    python -m benchmarks.query_cache                # in about two minutes, on one core
    python -m benchmarks.query_cache --scale 0.01   # a hundredth of the log: whether it runs, no figures

hit_vs_miss           seconds of a query whose vector the replica holds, over those of one that it encodes
shared_vs_miss        the same of one that Redis holds; left out where no redis-server is installed
hit_vs_miss_torch     hit_vs_miss where torch encodes
miss_p50_ms           milliseconds of a miss, median: 8 tokens with the two special ones, under ONNX int8
miss_p50_ms_fp32, miss_p50_ms_torch
                      the same with the other forms of the tower
hit_rate              share of 1M queries that a cache of 100,000 entries answers, drawn by Zipf's law (exponent 1.0)
                      from 200,000 different ones
hit_rate_100k, hit_rate_300k, hit_rate_1m
                      the same from so many different ones
endless_rate, endless_rate_1m
                      what a cache that never forgets reaches in the first and the last case: only first times miss
distinct, distinct_1m how many different queries those two logs hold

The tower is all-MiniLM-L6-v2 with its real weights. Asked is the deployment's own class as a fused replica asks it:
one query at a time, on one core, with an event loop and a thread for the tower. Forms take turns, and in each turn
every kind of query; ratios and medians are over ROUNDS of them. Nobody asks dev here: with which ONNX form a student is
served, its card decides.
"""

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.embed_refresh import texts_of, untrained
from benchmarks.record import print_result
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.onnx import Format, file_of, quantise, write
from serve_apps.rerank.opened import Opened
from serve_apps.rerank.query_cache import Key, Outcome, QueryCache
from serve_apps.rerank.query_encoder import QueryEncoder
from serve_apps.rerank.settings import RerankSettings

ROUNDS = 9
QUERIES = 100
"""A kind, a form and a round."""

ASKED = 1_000_000
ENTRIES = 100_000
DIFFERENT = {"": 200_000, "_100k": 100_000, "_300k": 300_000, "_1m": 1_000_000}
FORMS: dict[str, Format | None] = {"": "int8", "_fp32": "fp32", "_torch": None}
WORDS = ("red", "blue", "small", "large", "old", "new", "shoe", "house", "garden", "table", "lamp", "cake", "bike")
"""Each is one token of MiniLM's; six of them with the two special ones are eight."""

VERSION = "s@00000000"
"""Of the only release."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0, help="share of the log")
    scale = parser.parse_args().scale
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ratios = rates(scale)
    with tempfile.TemporaryDirectory(prefix="pinrank-") as folder, redis(Path(folder)) as url:
        ratios |= times(Path(folder), url)
    print_result("query_cache", ratios, ROUNDS)


def rates(scale: float) -> dict[str, float]:
    """How often a log finds a query in the cache."""
    found: dict[str, float] = {}
    for name, different in DIFFERENT.items():
        log = zipf(round(ASKED * scale), max(round(different * scale), 1))
        found[f"hit_rate{name}"] = hit_rate(log, max(round(ENTRIES * scale), 1))
        if name in ("", "_1m"):
            found[f"distinct{name}"] = len(set(log))
            found[f"endless_rate{name}"] = 1 - len(set(log)) / len(log)
    return found


def zipf(asked: int, different: int) -> list[int]:
    """Which query is asked, so often: the n-th of them 1/n as often as the first."""
    shares = np.cumsum(1 / np.arange(1, different + 1))
    drawn = np.random.default_rng(0).random(asked) * shares[-1]
    return [int(place) for place in np.searchsorted(shares, drawn)]


def hit_rate(log: Sequence[int], entries: int) -> float:
    """The share of a log that a cache answers."""
    cache, vector_D, hits = QueryCache(entries), np.zeros(1, np.float32), 0
    for query in log:
        key = Key(str(query), None, "s@1")
        if cache.peek(key) is not None:
            hits += 1
        else:
            cache.put(key, vector_D)
    return hits / len(log)


def times(folder: Path, url: str | None) -> dict[str, float]:
    """What each kind of query takes, with each form of the tower."""
    student = open_student(untrained(folder / "student", texts_of(500)))
    write(student.encoder, file_of(student.folder, "fp32"))
    quantise(file_of(student.folder, "fp32"), file_of(student.folder, "int8"))
    served = {name: student.with_query_form(form) for name, form in FORMS.items()}
    rounds = asyncio.run(in_turn(served, url))
    median = {kind: statistics.median(taken) for kind, taken in rounds.items()}
    found = {f"miss_p50_ms{name}": median[f"miss{name}"] * 1e3 for name in FORMS}
    for name in ("", "_torch"):
        found[f"hit_vs_miss{name}"] = ratio(rounds[f"hit{name}"], rounds[f"miss{name}"])
    if url is not None:
        found["shared_vs_miss"] = ratio(rounds["shared"], rounds["miss"])
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


async def in_turn(served: dict[str, StudentBundle], url: str | None) -> dict[str, list[float]]:
    """The median seconds of every kind of query with every form, a list of rounds each; the first round warms up."""
    students: dict[str, list[QueryEncoder]] = {}
    for name, bundle in served.items():
        replicas = 2 if url and not name else 1  # what the first has encoded, the second finds in Redis
        students[name] = [encoder(bundle, url if not name else None) for _ in range(replicas)]
    rounds: dict[str, list[float]] = {}
    for number in range(ROUNDS + 1):
        for name, encoders in students.items():
            queries = new_queries(number)
            taken = {f"miss{name}": await asked(encoders[0], queries, "miss")}
            taken |= {f"hit{name}": await asked(encoders[0], queries, "hit")}
            if len(encoders) > 1:
                await asyncio.sleep(0.05)  # what was put there is not waited for
                taken["shared"] = await asked(encoders[1], queries, "shared")
            for kind, seconds in taken.items():
                rounds.setdefault(kind, []).extend([seconds] * (number > 0))
    return rounds


def encoder(bundle: StudentBundle, url: str | None) -> QueryEncoder:
    """A replica's encoder of this student."""
    settings = RerankSettings(query_cache_redis=url, query_cache_redis_timeout_ms=1_000, query_cache_entries=ENTRIES)
    return QueryEncoder(settings, VERSION, Opened(lambda _: bundle))


def new_queries(number: int) -> list[str]:
    """Queries of a round that no other has, of eight tokens each."""
    rng = np.random.default_rng(number)
    return [" ".join(rng.choice(WORDS, 6)) for _ in range(QUERIES)]


async def asked(encoder: QueryEncoder, queries: Sequence[str], wanted: Outcome) -> float:
    """The median seconds of one query, of those that were found where they should be."""
    taken = []
    for query in queries:
        begun = time.perf_counter()
        _, outcome = await encoder.encode(VERSION, query)
        if outcome == wanted:
            taken.append(time.perf_counter() - begun)
    if len(taken) < len(queries) / 2:
        raise RuntimeError(f"only {len(taken)} of {len(queries)} queries were a {wanted}")
    return statistics.median(taken)


@contextmanager
def redis(folder: Path) -> Iterator[str | None]:
    """The URL of a redis-server of our own; None where none is installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
