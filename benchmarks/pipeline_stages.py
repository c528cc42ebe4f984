"""Seconds and peak memory of every stage of the demo.

    python -m benchmarks.pipeline_stages

Runs the stages that are not done yet and takes the others from the records that they wrote when they ran. Ratios:
share_NAME is the stage's share of all seconds, peak_gib_NAME the memory of all its processes together,
seconds_total their sum, over_budget_memory the largest peak over the 6 GiB that a stage may take.
"""

import os
from pathlib import Path

from rich.console import Console

from benchmarks.record import print_result
from pinrank.stages import run_stages
from pipelines.demo import DATA, Demo, stages_of

MEMORY_BUDGET_GIB = 6.0


def main() -> None:
    """Measure and print."""
    stages = stages_of(Demo(data=os.environ.get("PINRANK_DATA", DATA)), Console(stderr=True))
    records = [record for record, _ in run_stages(stages, Path("runs/demo/stages"))]
    seconds = sum(record.seconds for record in records)
    peaks = {f"peak_gib_{record.name}": record.peak_memory_bytes / 2**30 for record in records}
    print_result(
        "pipeline_stages",
        {
            "seconds_total": seconds,
            "over_budget_memory": max(peaks.values()) / MEMORY_BUDGET_GIB,
            **{f"share_{record.name}": record.seconds / seconds for record in records},
            **peaks,
        },
        rounds=1,
    )


if __name__ == "__main__":
    main()
