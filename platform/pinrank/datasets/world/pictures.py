"""The pictures of generated pins: drawn from what the pin is about, so that alike pins look alike.

Topic: colours (neighbouring topics have near ones). Subject: the shape. Facets: two textures of the ground. Place and
size differ from pin to pin. Letters: S side in pixels; x and y count pixels, u and v are the shape's own coordinates.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pinrank.datasets.world.settings import rng_of
from pinrank.datasets.world.things import Things

SIDE = 96
FOLDER = "images"
PER_FOLDER = 1_000

Grid = NDArray[np.float64]
Mask = NDArray[np.bool_]

COLOURS = (
    *((178, 58, 46), (206, 92, 64)),
    *((42, 122, 66), (86, 150, 74)),
    *((196, 146, 40), (220, 176, 84)),
    *((70, 62, 152), (112, 96, 190)),
)
"""Of the topics' shapes; the ground is a light tint of it."""

SHAPES: tuple[Callable[[Grid, Grid], Mask], ...] = (
    lambda u, v: u**2 + v**2 < 1,
    lambda u, v: np.maximum(abs(u), abs(v)) < 0.9,
    lambda u, v: (abs(v) < 0.9) & (abs(u) < (v + 0.9) / 1.8),
    lambda u, v: (np.minimum(abs(u), abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 1),
    lambda u, v: abs(u**2 + v**2 - 0.7) < 0.3,
)
"""Of the subjects: disc, square, triangle, cross, ring."""

TEXTURES: tuple[Callable[[NDArray[np.int64], NDArray[np.int64]], Mask], ...] = (
    lambda x, y: y % 8 < 2,
    lambda x, y: x % 8 < 2,
    lambda x, y: (x + y) % 10 < 2,
    lambda x, y: (x - y) % 10 < 2,
    lambda x, y: (x % 8 < 3) & (y % 8 < 3),
    lambda x, y: (x // 8 + y // 8) % 2 == 0,
    lambda x, y: np.minimum(x % 16, y % 16) < 2,
    lambda x, y: (x**2 + y**2) // 400 % 2 == 0,
)
"""Of the facets: lines lying, standing and slanting both ways, dots, a chequer, a grid, arcs."""


def path_of(pin: int) -> str:
    """Where the picture of pin number `pin` lies in the folder of the tables."""
    return f"{FOLDER}/{pin // PER_FOLDER:05d}/{pin}.png"


def picture(pins: Things, pin: int, seed: int) -> bytes:
    """A PNG of SIDE x SIDE pixels; seed and the pin's number decide where the shape is, and how large."""
    y_SS, x_SS = np.mgrid[:SIDE, :SIDE]
    rng = rng_of(seed, "pictures", pin)
    centre_x, centre_y = SIDE // 2 + rng.integers(-10, 11, size=2)
    radius = rng.integers(22, 35)
    shape_SS = SHAPES[pins.subject[pin]]((x_SS - centre_x) / radius, (y_SS - centre_y) / radius)
    first, second = (TEXTURES[facet](x_SS, y_SS) for facet in pins.facets_N2[pin])
    inks_SS = np.where(shape_SS, 3, np.where(first, 2, second.astype(np.int64))).astype(np.uint8)
    image = Image.fromarray(inks_SS).convert("P")
    image.putpalette(_palette(COLOURS[pins.topic[pin]]))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _palette(colour: tuple[int, int, int]) -> list[int]:
    """Ground, second texture, first texture, shape."""
    return [255 - round((255 - part) * share) for share in (0.1, 0.25, 0.45, 1) for part in colour]
