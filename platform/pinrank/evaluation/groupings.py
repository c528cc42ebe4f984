"""What belongs together: pins of a query, queries of a pin, pins of a board."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pinrank.embeddings.boards import Boards
from pinrank.evaluation.representations import Grouping
from pinrank.text import normalise_query

BOARDS = "pins of one board"


def of_judgments(judgments: pa.Table, split: str, relevant_level: int) -> Iterator[Grouping]:
    """For each source of JUDGMENTS, pins relevant for one query of the split, and queries that one pin is relevant for.

    Items are pin ids and normalised queries; all that was judged in the split is looked through.
    """
    of_split = judgments.filter(pc.field("split") == split)
    for source in sorted(of_split["source"].unique().to_pylist()):
        rows = of_split.filter(pc.field("source") == source)
        queries = [normalise_query(query) for query in rows["query"].to_pylist()]
        pins = rows["pin_id"].to_pylist()
        pins_of: dict[str, list[str]] = {}
        queries_of: dict[str, list[str]] = {}
        for query, pin, level in zip(queries, pins, rows["level"].to_pylist(), strict=True):
            if level >= relevant_level:
                pins_of.setdefault(query, []).append(pin)
                queries_of.setdefault(pin, []).append(query)
        yield Grouping(f"{source}: pins relevant for one query", "pin", pins_of, set(pins))
        yield Grouping(f"{source}: queries that one pin is relevant for", "query", queries_of, set(queries))


def of_boards(boards: Boards) -> Grouping:
    """The pins of each board."""
    bounds = np.searchsorted(boards.board_E, np.arange(len(boards.board_ids) + 1))
    pins = boards.pin_ids_E.to_pylist()
    groups = {name: pins[bounds[place] : bounds[place + 1]] for place, name in enumerate(boards.board_ids)}
    return Grouping(BOARDS, "pin", groups)
