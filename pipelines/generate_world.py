"""Generate a small world, with judgments, impressions and an engagement log. It proves nothing about search quality.

    python -m pipelines.generate_world --config pipelines/configs/demo/generate_world.yaml
    python -m pipelines.generate_world --output runs/big/tables --world.num_pins 100000 --world.num_impressions 1000000

in : nothing but a seed
out: pins/  judgments/  impressions/  engagement/  generated.json (the settings; its presence says: not real)
For real public judgments see docs/data.md; pipelines.import_judgments takes the place of this job.
"""

import logging

from pydantic import Field

from pinrank.datasets.world import WorldSettings, generate, mark_generated
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.tables import ENGAGEMENT, IMPRESSIONS, JUDGMENTS, PINS, write

log = logging.getLogger(__name__)


class GenerateWorld(JobSettings):
    """Settings of generate_world."""

    output: str = Field("runs/demo/tables", description="folder of pinrank's tables")
    world: WorldSettings = Field(WorldSettings(), description="seed and size")


def main(settings: GenerateWorld) -> Summary:
    """Generate, write."""
    log.warning("a generated world: its quality figures prove nothing about search relevance")
    world = generate(settings.world)
    rows = {}
    mark_generated(settings.output, settings.world)
    for table in (PINS, JUDGMENTS, IMPRESSIONS, ENGAGEMENT):
        data = getattr(world, table.name)
        log.info("writing %s: %d rows", table.name, data.num_rows)
        write(data, f"{settings.output}/{table.name}", table)
        rows[table.name] = data.num_rows
    return Summary(rows_in=0, rows_out=sum(rows.values()), details=rows)


if __name__ == "__main__":
    run(main, GenerateWorld)
