"""Boards and their vectors."""

import numpy as np
import pyarrow as pa
import pytest

from pinrank.embeddings.boards import SAVED, Boards, BoardSettings, board_vectors, boards_of, title_texts, unit
from pinrank.tables import PIN_EMBEDDINGS, PIN_TEXT

PINS = pa.array(["a", "b", "c"])


def edges(*rows: tuple[int, str, str]) -> pa.Table:
    """SAVED of (board, title, pin)."""
    return pa.Table.from_pylist(
        [dict(zip(("board", "title", "pin_id"), row, strict=True)) for row in rows], schema=SAVED
    )


def embedded(**vectors: list[float]) -> pa.Table:
    rows = [
        {"pin_id": name, "vector": np.float16(each), "fingerprint": name, "encoder": "s@0"}
        for name, each in vectors.items()
    ]
    return pa.Table.from_pylist(rows, schema=PIN_EMBEDDINGS.schema)


def test_a_board_is_known_by_its_title_and_person_and_holds_each_pin_once() -> None:
    found = boards_of(
        edges((7, "Dinner", "b"), (7, "dinner", "a"), (7, "Dinner", "b"), (3, "Red", "a"), (3, "Red", "c")),
        PINS,
        BoardSettings(min_pins=2),
    )
    assert found.board_ids == [f"Red#{3:016x}", f"Dinner#{7:016x}"]
    assert (found.board_E.tolist(), found.pin_ids_E.to_pylist()) == ([0, 0, 1, 1], ["a", "c", "a", "b"])


def test_boards_of_too_few_or_too_many_known_pins_are_left_out() -> None:
    rows = edges((1, "one", "a"), (1, "one", "unknown"), (2, "all", "a"), (2, "all", "b"), (2, "all", "c"))
    assert boards_of(rows, PINS, BoardSettings(min_pins=2, max_pins=2)).board_ids == []
    assert boards_of(rows, PINS, BoardSettings(min_pins=1, max_pins=1)).board_ids == [f"one#{1:016x}"]


def test_a_vector_is_the_mean_of_the_title_and_of_the_pins_mean() -> None:
    boards = boards_of(edges((1, "x", "a"), (1, "x", "b")), PINS, BoardSettings())
    titles = embedded(**{boards.board_ids[0]: [0.0, 0.0, 1.0]})
    pins = embedded(b=[0.0, 1.0, 0.0], a=[1.0, 0.0, 0.0])
    half = np.sqrt(0.5)
    wanted = np.array([half, half, 1.0]) / np.sqrt(2)
    np.testing.assert_allclose(board_vectors(boards, titles, pins), [wanted], atol=1e-3)


def test_a_title_is_read_as_a_pin_that_has_nothing_else() -> None:
    texts = title_texts(Boards(["x#1"], ["x"], np.zeros(0, dtype=np.int64), pa.array([], pa.string())))
    assert texts.schema == PIN_TEXT.schema
    row = texts.to_pylist()[0]
    assert (row["pin_id"], row["title"], row["description"]) == ("x#1", "x", "")


def test_a_vector_of_zeros_stays_one() -> None:
    assert unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
