"""A generated world of ten million impressions, beside one of a tenth of them: seconds and memory.

    python -m benchmarks.world
    python -m benchmarks.world --rows 1000000 --rounds 1

Each world is written by a process of its own, with the same pins, users and queries. Ratios, the median over rounds:
peak_10m_vs_1m is the largest resident memory of the one process over the other's, time_10m_vs_1m their seconds, and
cpu_10m_vs_1m their CPU seconds; peak_gb, seconds and impressions_per_s are those of the large one.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.record import print_result
from pinrank.datasets.world import WorldSettings, write_world

NUM_PINS, NUM_USERS, NUM_QUERIES = 500_000, 1_000_000, 10_000
KIB = 1024


def main() -> None:
    """Generate both in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    rounds = [measured(asked.rows) for _ in range(asked.rounds)]
    print_result("world", {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}, asked.rounds)


def measured(rows: int) -> dict[str, float]:
    """The ratios of one round."""
    tenth, whole = child(rows // 10), child(rows)
    print(json.dumps({"tenth": tenth, "all": whole}), file=sys.stderr, flush=True)
    return {
        "peak_10m_vs_1m": whole["peak_bytes"] / tenth["peak_bytes"],
        "time_10m_vs_1m": whole["seconds"] / tenth["seconds"],
        "cpu_10m_vs_1m": whole["cpu_s"] / tenth["cpu_s"],
        "peak_gb": whole["peak_bytes"] / 1e9,
        "seconds": whole["seconds"],
        "impressions_per_s": rows / whole["seconds"],
    }


def child(rows: int) -> dict[str, float]:
    """Write a world in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.world", "write", str(rows)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(said.splitlines()[-1]))


def written(rows: int) -> dict[str, float]:
    """Seconds, CPU seconds and peak memory of writing a world in this process."""
    settings = WorldSettings(
        num_pins=NUM_PINS, num_users=NUM_USERS, num_queries=NUM_QUERIES, judged_per_query=4, num_impressions=rows
    )
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="world-") as folder:
        write_world(settings, folder)
        seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"seconds": seconds, "cpu_s": used.ru_utime + used.ru_stime, "peak_bytes": float(used.ru_maxrss * KIB)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        print(json.dumps(written(int(sys.argv[2]))))
    else:
        main()
