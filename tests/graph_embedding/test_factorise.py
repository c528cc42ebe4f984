"""Vectors of a graph: near within a cluster of boards, far across, the same every time."""

import numpy as np
import pyarrow as pa
import pytest

from pinrank.errors import TableError
from pinrank.graph_embedding.edges import EDGES, Graph, graph_of
from pinrank.graph_embedding.factorise import PinVectors, mutual_information, pin_vectors
from pinrank.graph_embedding.settings import GraphSettings

SETTINGS = GraphSettings(dim=4)


def graph(boards: dict[str, str]) -> Graph:
    """Boards by name, each with its pins in one string."""
    rows = [{"pin_id": pin, "board": place} for place, pins in enumerate(boards.values()) for pin in pins.split()]
    return graph_of(pa.Table.from_pylist(rows, EDGES), SETTINGS)


TWO_CLUSTERS = {
    "kitchen 1": "pan pot cup",
    "kitchen 2": "pot cup jar",
    "kitchen 3": "pan jar cup",
    "garden 1": "oak elm ivy",
    "garden 2": "elm ivy ash",
    "garden 3": "oak ash ivy",
    "alone": "lost",
}
KITCHEN, GARDEN = ("pan", "pot", "cup", "jar"), ("oak", "elm", "ivy", "ash")


def cosines(found: PinVectors, left: tuple[str, ...], right: tuple[str, ...]) -> np.ndarray:
    place = {pin: row for row, pin in enumerate(found.pin_ids.to_pylist())}
    rows = [found.vectors_PD[[place[pin] for pin in side]] for side in (left, right)]
    return np.asarray(rows[0] @ rows[1].T)


def test_pins_of_one_cluster_of_boards_are_near_and_of_two_far():
    found = pin_vectors(graph(TWO_CLUSTERS), GraphSettings(dim=2))
    assert min(cosines(found, KITCHEN, KITCHEN).min(), cosines(found, GARDEN, GARDEN).min()) > 0.9
    assert np.abs(cosines(found, KITCHEN, GARDEN)).max() < 0.1
    np.testing.assert_allclose(np.linalg.norm(found.vectors_PD, axis=1), 1, atol=1e-6)


def test_a_pin_that_shares_no_board_has_no_vector():
    assert "lost" not in pin_vectors(graph(TWO_CLUSTERS), SETTINGS).pin_ids.to_pylist()


def test_a_pin_outside_the_directions_that_are_kept_has_no_vector_instead_of_noise():
    boards = {**{f"b{n}": "a b c d e f" for n in range(12)}, "far": "x y", "far too": "x y z"}
    with_one = pin_vectors(graph(boards), GraphSettings(dim=1))
    assert set(with_one.pin_ids.to_pylist()) in ({"a", "b", "c", "d", "e", "f"}, {"x", "y", "z"})


def test_the_same_seed_gives_the_same_vectors():
    one, other = (pin_vectors(graph(TWO_CLUSTERS), SETTINGS) for _ in range(2))
    assert one.pin_ids.equals(other.pin_ids)
    assert one.vectors_PD.tobytes() == other.vectors_PD.tobytes()


def test_all_directions_explain_the_whole_matrix():
    assert pin_vectors(graph(TWO_CLUSTERS), GraphSettings(dim=6)).explained == pytest.approx(1, abs=1e-6)
    assert pin_vectors(graph(TWO_CLUSTERS), GraphSettings(dim=2)).explained < 0.9


def test_mutual_information_by_hand():
    found = graph({"b1": "p q", "b2": "p q r"})
    # five edges; p and q are on 2 boards, r on 1; b1 holds 2 pins, b2 holds 3: log(5 / 6) is below 0
    wanted = [[np.log(5 / 4), 0], [np.log(5 / 4), 0], [0, np.log(5 / 3)]]
    np.testing.assert_allclose(mutual_information(found, shift=1.0).toarray(), wanted)
    assert mutual_information(found, shift=2.0).nnz == 0


def test_too_small_a_graph_is_refused_with_the_mend():
    with pytest.raises(TableError, match=r"2 pins on 1 boards are too few for vectors of 4\. Lower graph\.dim"):
        pin_vectors(graph({"b": "p q"}), SETTINGS)
