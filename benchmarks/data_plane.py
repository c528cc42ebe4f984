"""Pin text and sampling from logs of ten million rows, beside DuckDB queries that aggregate the same files.

    python -m benchmarks.data_plane
    python -m benchmarks.data_plane --rows 1000000 --rounds 1       # a tenth of it

Each run is a process of its own on two cores, one after the other. Ratios, the median over rounds: pin_text_vs_duckdb
and sampling_vs_duckdb are rows/s of the pipeline over rows/s of DuckDB, time_10m_vs_1m is the larger of the two
pipelines' seconds for all rows over those for a tenth of them, peak_gb the largest memory of a pipeline's processes
together. A pipeline's seconds are those of its main, a Ray session's start included; ..._with_session_running leaves
that start out, as on a cluster; ..._cpu and cpu_10m_vs_1m are ratios of CPU seconds, which a
busy machine disturbs less. DuckDB does less: no cleaning of rows, ids and link texts, no fingerprints, no carrying
over, no guarantees.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.logs.generate import write_logs
from benchmarks.logs.sql import pin_text_sql, sampling_sql
from benchmarks.record import print_result
from pinrank import cluster
from pinrank.stages import memory_of

KINDS = ("pin_text", "sampling")
SIZE = 100_000
"""Pairs sampled."""
GB = 1e9


def main() -> None:
    """Generate, measure in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="data-plane-") as folder:
        for name, rows in (("all", asked.rows), ("tenth", asked.rows // 10)):
            write_logs(Path(folder) / name, rows)
        rounds = [measured(Path(folder)) for _ in range(asked.rounds)]
    print_result(
        "data_plane", {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}, asked.rounds
    )


def measured(folder: Path) -> dict[str, float]:
    """The ratios of one round."""
    found: dict[str, float] = {"peak_gb": 0.0, "time_10m_vs_1m": 0.0, "cpu_10m_vs_1m": 0.0}
    for kind in KINDS:
        sql, whole = child(f"{kind}_duckdb", folder / "all"), child(kind, folder / "all")
        tenth = child(kind, folder / "tenth")
        print(kind, json.dumps({"duckdb": sql, "all": whole, "tenth": tenth}), file=sys.stderr, flush=True)
        found[f"{kind}_vs_duckdb"] = sql["seconds"] / whole["seconds"]
        found[f"{kind}_vs_duckdb_with_session_running"] = sql["seconds"] / (whole["seconds"] - whole["connecting"])
        found[f"{kind}_vs_duckdb_cpu"] = sql["cpu_s"] / whole["cpu_s"]
        found["time_10m_vs_1m"] = max(found["time_10m_vs_1m"], whole["seconds"] / tenth["seconds"])
        found["cpu_10m_vs_1m"] = max(found["cpu_10m_vs_1m"], whole["cpu_s"] / tenth["cpu_s"])
        found["peak_gb"] = max(found["peak_gb"], whole["peak_gb"])
    return found


def child(kind: str, folder: Path) -> dict[str, float]:
    """Run one kind in a process of its own; seconds, of which connecting to Ray, and the peak memory of all of it."""
    command = [sys.executable, "-m", "benchmarks.data_plane", kind, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, memory_of(process.pid, 0.2) as memory:
        said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return {**json.loads(said.splitlines()[-1]), "peak_gb": memory.peak_bytes / GB}


def run_pipeline(kind: str, folder: str) -> dict[str, float]:
    """Run a pipeline on two cores."""
    from pipelines import build_pin_text, sample_impressions

    connecting = [0.0]
    start_local = cluster.start_local

    def timed(settings: cluster.ClusterSettings) -> None:
        started = time.perf_counter()
        start_local(settings)
        connecting[0] += time.perf_counter() - started

    cluster.start_local = timed
    two_cores: Any = {"num_cpus": 2, "dashboard": False}
    shutil.rmtree(f"{folder}/pin_text", ignore_errors=True)  # a round must not go on from the one before
    started = time.perf_counter()
    if kind == "pin_text":
        build_pin_text.main(build_pin_text.BuildPinText(tables=folder, cluster=two_cores))
    else:
        wanted: Any = {"size": SIZE, "max_per_query": 100, "max_per_pin": 100}
        sample_impressions.main(sample_impressions.SampleImpressions(tables=folder, cluster=two_cores, **wanted))
    return {"seconds": time.perf_counter() - started, "connecting": connecting[0], "cpu_s": cpu_seconds()}


def run_duckdb(kind: str, folder: str) -> dict[str, float]:
    """Run a DuckDB query on two threads."""
    try:
        import duckdb
    except ImportError as cause:
        raise SystemExit("benchmarks.data_plane compares with DuckDB: pip install duckdb") from cause
    started = time.perf_counter()
    with duckdb.connect(
        config={"threads": 2, "memory_limit": "3GB", "temp_directory": f"{folder}/duckdb"}
    ) as connection:
        connection.execute(pin_text_sql(folder) if kind == "pin_text_duckdb" else sampling_sql(folder, SIZE))
    return {"seconds": time.perf_counter() - started, "cpu_s": cpu_seconds()}


def cpu_seconds() -> float:
    """CPU time of this process and of all its descendants that still live, Ray's own among them."""
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1].removesuffix("_duckdb") in KINDS:
        kind, folder = sys.argv[1:]
        print(json.dumps(run_duckdb(kind, folder) if kind.endswith("_duckdb") else run_pipeline(kind, folder)))
    else:
        main()
