"""The generated pins' pictures, through the reader that captions them."""

from pathlib import Path

import numpy as np
import pytest

from pinrank.captions.images import Fetcher, ImageSettings, decode
from pinrank.datasets.world import WorldSettings, write_world
from pinrank.datasets.world.pictures import COLOURS, SHAPES, SIDE, TEXTURES, path_of, picture
from pinrank.datasets.world.things import NUM_FACETS, NUM_SUBJECTS, NUM_TOPICS, Things
from pinrank.tables import PINS, read


def drawn(topic: int = 0, subject: int = 0, facets: tuple[int, int] = (0, 1), seed: int = 0) -> bytes:
    """The picture of a world's only pin."""
    pin = Things(*(np.array([each], dtype=np.int16) for each in (0, topic, subject, facets, 0)))
    return picture(pin, 0, seed)


def test_the_reader_of_captions_opens_every_picture_of_the_table(tmp_path: Path) -> None:
    write_world(WorldSettings(num_pins=30, num_queries=5, num_impressions=0, images=12), str(tmp_path))
    pins = read(str(tmp_path / "pins"), PINS)
    addresses = pins.column("image_url").to_pylist()
    assert addresses[:12] == [path_of(pin) for pin in range(12)] and set(addresses[12:]) == {""}
    settings = ImageSettings(root=str(tmp_path))
    fetcher = Fetcher(settings)
    contents = [fetcher.fetch(address) for address in addresses[:12]]
    fetcher.close()
    assert {decode(content, settings).size for content in contents} == {(SIDE, SIDE)}
    assert len(set(contents)) == 12
    assert max(len(content) for content in contents) < 3_000


def test_no_folder_gets_more_than_a_thousand_pictures() -> None:
    assert (path_of(999), path_of(1_000)) == ("images/00000/999.png", "images/00001/1000.png")


def test_the_same_pin_has_the_same_picture_and_another_seed_moves_its_shape() -> None:
    assert drawn() == drawn() != drawn(seed=1)


def test_every_topic_subject_and_pair_of_facets_looks_different() -> None:
    found = [drawn(topic=topic) for topic in range(NUM_TOPICS)]
    found += [drawn(subject=subject) for subject in range(1, NUM_SUBJECTS)]
    pairs = [(first, second) for first in range(NUM_FACETS) for second in range(NUM_FACETS) if first != second]
    found += [drawn(facets=pair) for pair in pairs if pair != (0, 1)]
    assert len(set(found)) == len(found) == NUM_TOPICS + NUM_SUBJECTS - 1 + len(pairs) - 1
    assert (len(COLOURS), len(SHAPES), len(TEXTURES)) == (NUM_TOPICS, NUM_SUBJECTS, NUM_FACETS)


@pytest.mark.parametrize("subject", range(NUM_SUBJECTS))
def test_the_shape_has_its_topics_colour_and_stands_out_from_the_ground(subject: int) -> None:
    image = np.asarray(decode(drawn(topic=4, subject=subject), ImageSettings()))
    in_shape = (image == COLOURS[4]).all(axis=2)
    assert 0.05 < in_shape.mean() < 0.6
    assert not in_shape[0].any() and not in_shape[-1].any()
