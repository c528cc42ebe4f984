"""The size of a generated world, and where its randomness comes from."""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

PER_PAGE = 10
"""Pins shown for a query at a time."""
START = np.datetime64("2026-01-01T00:00:00", "us")
"""When the logs begin."""
DAY_US = 86_400_000_000


class WorldSettings(BaseModel):
    """The size of a world; the same settings make the same world."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, ge=0, description="the same world for the same seed")
    num_pins: int = Field(3_000, ge=1, description="pins")
    num_users: int = Field(200, ge=1, description="people who search")
    num_queries: int = Field(400, ge=1, description="different queries")
    judged_per_query: int = Field(16, ge=1, description="pins of a query that are judged")
    num_impressions: int = Field(20_000, ge=0, description=f"rounded down to pages of {PER_PAGE}")
    num_days: int = Field(14, ge=1, description="over which the impressions are spread evenly")
    images: int = Field(0, ge=0, description="so many pins, from the first on, get a picture; others have no image_url")
    rows_per_chunk: int = Field(
        100_000, ge=PER_PAGE, description="pins or impressions in memory at a time, and at most in a file"
    )


def rng_of(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """Random numbers for one purpose, and one piece of it: what a piece draws changes nothing in another."""
    return np.random.default_rng([seed, int.from_bytes(purpose.encode()), number])
