"""From evidence to a graph of pins and boards."""

import pyarrow as pa

from pinrank.engagement.evidence import evidence_of, merged
from pinrank.graph_embedding.edges import edges_of, graph_of
from pinrank.graph_embedding.settings import GraphSettings
from tests.engagement.logged import log

ALL = GraphSettings(min_users=1, dim=1)


def edges(settings: GraphSettings, *rows: tuple) -> pa.Table:
    return edges_of(merged([evidence_of(log(*rows), min_dwell_s=10)]), settings)


def test_a_board_is_a_person_and_a_title_in_any_spelling():
    found = edges(
        ALL,
        ("ann", "p1", "save", "Living  Room"),
        ("ann", "p2", "save", "living room"),
        ("ann", "p2", "save", "living room"),
        ("ann", "p3", "save", "kitchen"),
        ("bob", "p4", "save", "living room"),
        ("bob", "p5", "save", None),
        ("bob", "p5", "click", 30.0),
    )
    board_of = dict(zip(found["pin_id"].to_pylist(), found["board"].to_pylist(), strict=True))
    assert found.num_rows == len(board_of) == 4
    assert board_of["p1"] == board_of["p2"]
    assert len(set(board_of.values())) == 3


def test_a_pin_needs_enough_people_not_enough_boards_of_one_person():
    rows = [("ann", "p1", "save", f"board {number}") for number in range(5)]
    rows += [(user, "p2", "save", "board 1") for user in ("ann", "bob")]
    found = edges(GraphSettings(min_users=2), *rows)
    assert set(found["pin_id"].to_pylist()) == {"p2"}


def test_boards_that_are_too_small_or_too_large_are_left_out():
    sizes = {"one": 1, "two": 2, "three": 3}
    rows = [("ann", f"p{pin}", "save", board) for board, size in sizes.items() for pin in range(size)]
    graph = graph_of(edges(ALL, *rows), GraphSettings(min_users=1, max_pins=2))
    assert graph.num_boards == 1
    assert graph.pin_ids.to_pylist() == ["p0", "p1"]


def test_the_graph_does_not_depend_on_the_order_of_the_edges():
    rows = [(f"user {pin % 3}", f"p{pin}", "save", f"board {pin % 2}") for pin in range(12)]
    found = edges(ALL, *rows)
    one, other = (graph_of(each, ALL) for each in (found, found.take(list(range(found.num_rows))[::-1])))
    assert one.pin_ids.equals(other.pin_ids)
    assert (one.pin_E == other.pin_E).all() and (one.board_E == other.board_E).all()


def test_no_saves_make_an_empty_graph():
    graph = graph_of(edges(ALL, ("ann", "p1", "click", 30.0)), ALL)
    assert (len(graph), graph.num_boards, len(graph.pin_ids)) == (0, 0, 0)
