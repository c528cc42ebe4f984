"""The graph: an edge joins a pin and a board that one person saved it to, however often.

A board is a person and a title, in any spelling: two people's boards of one title are two boards, because each is a
choice of its own. Letters: E edges.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank.engagement.evidence import BOARD
from pinrank.graph_embedding.settings import GraphSettings
from pinrank.keys import Ints, dense, mixed, repeated_hashes

EDGES = pa.schema([("pin_id", pa.string()), ("board", pa.uint64())])
"""board: a hash of the person and the normalised title."""


@dataclass(frozen=True)
class Graph:
    """Pins (sorted ids) and boards (numbered by their hashes), and which of them each edge joins."""

    pin_ids: pa.Array
    num_boards: int
    pin_E: Ints
    board_E: Ints

    def __len__(self) -> int:
        return len(self.pin_E)


def edges_of(evidence: pa.Table, settings: GraphSettings) -> pa.Table:
    """EVIDENCE (merged, all of each pin's) → EDGES of the pins that at least `min_users` people saved to a board."""
    saves = evidence.filter(pc.equal(evidence["kind"], BOARD))
    people = saves.group_by("pin_id").aggregate([("user", "count_distinct")])
    known = people["pin_id"].filter(pc.greater_equal(people["user_count_distinct"], settings.min_users))
    saves = saves.filter(pc.is_in(saves["pin_id"], known.combine_chunks()))
    boards = mixed(repeated_hashes(saves["word"]), saves["user"].to_numpy())
    return pa.table([saves["pin_id"], pa.array(boards)], schema=EDGES)


def graph_of(edges: pa.Table, settings: GraphSettings) -> Graph:
    """The graph without boards that are too small or too large; the same whatever the order of the edges."""
    board_E = dense(edges["board"].to_numpy())
    pins_of_board = np.bincount(board_E)
    kept_E = ((pins_of_board >= settings.min_pins) & (pins_of_board <= settings.max_pins))[board_E]
    pins = edges["pin_id"].filter(pa.array(kept_E))
    pin_ids = pins.unique().sort()
    pin_E: NDArray = pc.index_in(pins, value_set=pin_ids).to_numpy().astype(np.int64)
    board_E = dense(board_E[kept_E])
    order_E = np.lexsort((board_E, pin_E))
    return Graph(pin_ids, int(board_E.max(initial=-1)) + 1, pin_E[order_E], board_E[order_E])
