"""A Pinterest-like world of any size from a seed, in pinrank's own tables. It proves NOTHING about search quality.

It exists so that every part can run and be tested where no real data is: pins with text in four languages and drawn
pictures, people with boards, queries with a Zipf head, impressions, an engagement log, and grades whose truth is known.
Relevance is made of the words themselves, so a model that learns anything does well here; that says nothing about real
queries.

A query wants a subject of a topic, perhaps with facets ("rustic green kitchen shelf ideas"). The true level of a pin:
5 the subject with all facets asked for, 4 the subject, 3 another subject of the topic, 2 the neighbouring topic, 1 the
rest.

    write_world(WorldSettings(num_pins=500_000, num_impressions=10_000_000), "runs/big/tables")    # piece by piece
    world = generate(WorldSettings())                                                              # all of it in memory
"""

from dataclasses import dataclass

import pyarrow as pa

from pinrank.datasets.world.catalogue import catalogue_of
from pinrank.datasets.world.files import MARK, Written, forget_generated, mark_generated, write_world
from pinrank.datasets.world.judgments import judgments_table
from pinrank.datasets.world.log import chunks, log_of
from pinrank.datasets.world.pins import pins_table
from pinrank.datasets.world.settings import WorldSettings

__all__ = [
    "MARK",
    "World",
    "WorldSettings",
    "Written",
    "forget_generated",
    "generate",
    "mark_generated",
    "write_world",
]


@dataclass(frozen=True)
class World:
    """PINS, JUDGMENTS (relevance: the true level on 0..1; level: a grade of it with noise), IMPRESSIONS, ENGAGEMENT and
    TRUTH (the true level of each impression)."""

    pins: pa.Table
    judgments: pa.Table
    impressions: pa.Table
    engagement: pa.Table
    truth: pa.Table


def generate(settings: WorldSettings) -> World:
    """A small world in memory, without its pictures.

    Raises SettingsError when more distinct queries are asked for than the words can make.
    """
    catalogue = catalogue_of(settings)
    logs = [log_of(catalogue, chunk) for chunk in chunks(settings)]
    return World(
        pins=pins_table(catalogue, 0, settings.num_pins),
        judgments=judgments_table(catalogue),
        impressions=pa.concat_tables([log.impressions for log in logs]),
        engagement=pa.concat_tables([log.engagement for log in logs]),
        truth=pa.concat_tables([log.truth for log in logs]),
    )
