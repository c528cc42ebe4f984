"""The served graph under load, beside a bare app that does the same maths, and beside cross-encoders on the same texts.

    python -m benchmarks.rerank_latency                         # ten minutes, of which the store of 1M pins takes one
    python -m benchmarks.rerank_latency --parts cross_encoders
    python -m benchmarks.rerank_latency --folder /tmp/shop      # the student and the store stay there for the next run
    python -m benchmarks.rerank_latency --pins 50000 --rounds 1 --seconds 0.3 # whether it runs, no figures

fused_rps_vs_bare          answers/s of pinrank, fused, behind Serve's own proxy over those of the bare app
fused_haproxy_rps_vs_bare  the same behind Serve's HAProxy, in its throughput mode
split_rps_vs_bare          split, behind Serve's own proxy; split_haproxy_rps_vs_bare: behind HAProxy
fused_p50_over_noop_ms     at one client: median milliseconds of pinrank less those of a graph of the same shape that
                           does nothing, behind the same proxy (fused_haproxy_..., split_...)
rps_vs_vllm_rerank         answers/s of pinrank, fused, behind Serve's own proxy, over those of vLLM's /rerank, for 200
rps_vs_cross_encoder       the same over CrossEncoder.predict of sentence-transformers, called without a server
haproxy_rps_vs_...         both again, with pinrank behind HAProxy (--parts haproxy cross_encoders)

Each is the worst of 200 and 500 candidates with one and with eight clients (p50: of 200 and 500); NAME_500_8 is that of
500 candidates and eight clients alone. Requests are POST /v1/rank for random pins by id, 64 of them with a query each
whose vector is held after the first round: towers are no part of this. The bare app (benchmarks.served.bare) is one
process of uvicorn that calls pinrank's own parsing, lookup, features, MLP and answer; so does each Serve replica, on
one thread. Student and store have the size of real ones and random content (benchmarks.served.shop).

All servers are up during the whole run, and all but the one under load are stopped. They take turns within a round;
figures are medians over rounds of ratios within one round.
"""

import argparse
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.record import print_result
from benchmarks.served import cross_encoders, servers
from benchmarks.served.load import Load, load
from benchmarks.served.servers import Server, free_port
from benchmarks.served.shop import Request, Shop, build, requests

SIZES = (200, 500)
CLIENTS = (1, 8)
NUM_REQUESTS = 64
WARM_S = 0.3
PARTS = ("graphs", "haproxy", "cross_encoders")
GRAPHS = {"fused": "", "split": "/split", "noop": "/noop", "noop_split": "/noop_split"}
MODES = {"serve": "", "haproxy": "_haproxy"}
"""Servers with all graphs, and what their targets are called."""

PATHS = {"bare": "/v1/rank", "vllm": "/rerank"}
FEW = 4
"""Requests to sentence-transformers in a round, the first of which is not counted."""


@dataclass(frozen=True)
class Cell:
    """What is asked: so many candidates by so many clients."""

    size: int
    clients: int


@dataclass
class Measured:
    """Loads of a target in each cell, one a round."""

    loads: dict[str, dict[Cell, list[Load]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def add(self, target: str, cell: Cell, found: Load) -> None:
        self.loads[target][cell].append(found)
        print(f"{target:20} {cell.size} candidates, {cell.clients} clients: {found}", file=sys.stderr, flush=True)

    def rps_over(self, target: str, other: str, cell: Cell) -> float:
        """Answers/s over the other's: the median over rounds."""
        rounds = zip(self.loads[target][cell], self.loads[other][cell], strict=True)
        return statistics.median(one.rps / two.rps for one, two in rounds)

    def p50_over(self, target: str, other: str, cell: Cell) -> float:
        """Milliseconds of the median answer less the other's: the median over rounds."""
        rounds = zip(self.loads[target][cell], self.loads[other][cell], strict=True)
        return statistics.median(one.p50_ms - two.p50_ms for one, two in rounds)


def main() -> None:
    """Start what is compared, measure in turn, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["graphs", "haproxy"])
    parser.add_argument("--pins", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of load on one target in one cell in one round")
    parser.add_argument("--folder", type=Path, help="keep student and store here; default: a folder that goes away")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no server stays behind
    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pinrank-")))
        shop = build(folder, given.pins)
        measured = Measured()
        with started(shop, given.parts) as up:
            for _ in range(given.rounds):
                for size in SIZES if "graphs" in given.parts else SIZES[:1]:
                    asked = requests(shop, size, NUM_REQUESTS, with_texts="cross_encoders" in given.parts)
                    graphs = GRAPHS if "graphs" in given.parts else ["fused"]
                    for each in up:
                        with each.running():
                            under_load(each, graphs, asked, measured, given.seconds)
                if "cross_encoders" in given.parts:
                    predict(shop, measured)
    print_result("rerank_latency", ratios(measured), given.rounds)


@contextmanager
def started(shop: Shop, parts: Sequence[str]) -> Iterator[list[Server]]:
    """The servers of these parts by name, all of them stopped where they stand."""
    with ExitStack() as stack:
        up = []
        waiting = [servers.serve(shop, free_port(), "serve", {})]
        if "graphs" in parts:
            waiting.append(servers.bare(shop, free_port()))
        if "haproxy" in parts:
            environ = servers.haproxy_env(shop.folder, (free_port(), free_port()))
            waiting.append(servers.serve(shop, free_port(), "haproxy", environ))
        if "cross_encoders" in parts:
            waiting.append(cross_encoders.vllm(cross_encoders.write(shop.folder / "cross_encoder"), free_port()))
        for each in waiting:
            up.append(stack.enter_context(each))
            up[-1].pause()
        yield up


def under_load(
    server: Server, graphs: Iterable[str], asked: Sequence[Request], measured: Measured, seconds: float
) -> None:
    """Each target of a server, asked by one client and by many."""
    size, names = len(asked[0].pin_ids), graphs if server.name in MODES else [server.name]
    if server.name == "vllm" and size != SIZES[0]:
        return
    for name in names:
        path = PATHS.get(name, f"{GRAPHS.get(name, '')}/v1/rank") + (f"?documents={size}" if "noop" in name else "")
        bodies = [request.by_texts if name == "vllm" else request.by_ids for request in asked]
        load(server.url + path, bodies, CLIENTS[-1], WARM_S, least=0 if name == "vllm" else len(bodies))
        for clients in CLIENTS:
            found = load(server.url + path, bodies, clients, seconds)
            measured.add(name + MODES.get(server.name, ""), Cell(size, clients), found)


def predict(shop: Shop, measured: Measured) -> None:
    """The same texts by sentence-transformers, which has no server: as many at a time as it likes."""
    found = cross_encoders.predicting(shop.folder / "cross_encoder", requests(shop, SIZES[0], FEW, with_texts=True))
    for clients in CLIENTS:
        measured.add("cross_encoder", Cell(SIZES[0], clients), found)


def ratios(measured: Measured) -> dict[str, float]:
    """Every ratio that the targets allow: the worst first, then those of the cells."""
    found: dict[str, float] = {}
    cells = [Cell(size, clients) for size in SIZES for clients in CLIENTS]
    for target, noop in (("fused", "noop"), ("split", "noop_split")):
        for mode in ("", "_haproxy"):
            if not {target + mode, noop + mode, "bare"} <= measured.loads.keys():
                continue
            vs_bare = {cell: measured.rps_over(target + mode, "bare", cell) for cell in cells}
            found |= worst_and_each(f"{target}{mode}_rps_vs_bare", vs_bare, min(vs_bare.values()))
            over = {c: measured.p50_over(target + mode, noop + mode, c) for c in cells if c.clients == 1}
            found |= worst_and_each(f"{target}{mode}_p50_over_noop_ms", over, max(over.values()))
    for target, name in (("vllm", "rps_vs_vllm_rerank"), ("cross_encoder", "rps_vs_cross_encoder")):
        for ours, prefix in (("fused", ""), ("fused_haproxy", "haproxy_")):
            if {target, ours} <= measured.loads.keys():
                over = {cell: measured.rps_over(ours, target, cell) for cell in cells if cell.size == SIZES[0]}
                found |= worst_and_each(prefix + name, over, min(over.values()))
    for target, loads in measured.loads.items():
        for cell, rounds in loads.items():
            found[f"{target}_rps_{cell.size}_{cell.clients}"] = statistics.median(each.rps for each in rounds)
            found[f"{target}_p50_ms_{cell.size}_{cell.clients}"] = statistics.median(each.p50_ms for each in rounds)
    found["failed"] = sum(each.failed for loads in measured.loads.values() for of in loads.values() for each in of)
    return found


def worst_and_each(name: str, of_cells: dict[Cell, float], worst: float) -> dict[str, float]:
    """A ratio by its name, and those of the cells."""
    return {name: worst, **{f"{name}_{cell.size}_{cell.clients}": ratio for cell, ratio in of_cells.items()}}


if __name__ == "__main__":
    main()
