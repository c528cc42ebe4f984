"""Generate a world of any size: pins, pictures, judgments, daily logs. It proves nothing about search quality.

    python -m pipelines.generate_world --config pipelines/configs/demo/generate_world.yaml
    python -m pipelines.generate_world --output runs/big/tables --world.num_pins 500000 --world.num_users 1000000 \\
        --world.num_queries 10000 --world.num_impressions 10000000

in : nothing but a seed
out: pins/  judgments/  impressions/DAY/  engagement/DAY/  truth/DAY/ (the true level of every impression)
     images/ (of the first pins, when asked for)  generated.json (the settings; its presence says: not real)

Memory does not grow with the impressions. Safe to kill at any point: the same command goes on where it stopped.
For real public judgments see docs/data.md; pipelines.import_judgments takes the place of this job.
"""

import logging

from pydantic import Field

from pinrank.datasets.world import WorldSettings, write_world
from pinrank.pipeline import JobSettings, Summary, run

log = logging.getLogger(__name__)


class GenerateWorld(JobSettings):
    """Settings of generate_world."""

    output: str = Field("runs/demo/tables", description="folder of pinrank's tables")
    world: WorldSettings = Field(WorldSettings(), description="seed and size")


def main(settings: GenerateWorld) -> Summary:
    """Write what is missing of the world."""
    log.warning("a generated world: its quality figures prove nothing about search relevance")
    written = write_world(settings.world, settings.output)
    images = min(settings.world.images, settings.world.num_pins)
    details = {**written.rows, "images": images, "resumed_files": written.resumed_files}
    return Summary(rows_in=0, rows_out=sum(written.rows.values()), details=details)


if __name__ == "__main__":
    run(main, GenerateWorld)
