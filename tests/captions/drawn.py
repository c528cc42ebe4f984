"""Pictures that are drawn for the tests, as real files."""

from pathlib import Path

from PIL import Image, ImageDraw

from pinrank.captions.images import ImageSettings

COLOURS = ("red", "blue", "green", "orange", "purple", "black", "white", "brown")
LIMITS = ImageSettings()


def draw(path: Path, number: int, side: int = 48) -> Path:
    """A disc on a ground; every number has its own picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (side, side), COLOURS[number % len(COLOURS)])
    inner = 4 + number % 12
    box = (inner, inner, side - inner, side - 2 - number % 5)
    ImageDraw.Draw(image).ellipse(box, fill=COLOURS[(number // 8 + number + 3) % len(COLOURS)])
    image.save(path)
    return path
