"""Which items belong together by judgments and by boards."""

import numpy as np
import pyarrow as pa

from pinrank.embeddings.boards import Boards
from pinrank.evaluation.groupings import of_boards, of_judgments
from pinrank.tables import JUDGMENTS


def judgments(*rows: tuple[str, str, str, int, str]) -> pa.Table:
    """JUDGMENTS of (source, query, pin, level, split)."""
    made = [
        {"judgment_id": str(number), "query_id": query, "query": query, "pin_id": pin, "level": level}
        | {"source": source, "split": split}
        for number, (source, query, pin, level, split) in enumerate(rows)
    ]
    return pa.Table.from_pylist(made, JUDGMENTS.schema)


def test_relevant_pairs_of_the_split_group_pins_and_queries() -> None:
    table = judgments(
        ("shop", "Red Sofa", "a", 5, "test"),
        ("shop", "red sofa", "b", 4, "test"),
        ("shop", "couch", "a", 4, "test"),
        ("shop", "couch", "c", 2, "test"),
        ("shop", "red sofa", "d", 5, "train"),
        ("web", "cake", "e", 5, "test"),
    )
    pins, queries, *web = of_judgments(table, "test", relevant_level=4)
    assert (pins.side, queries.side) == ("pin", "query")
    assert pins.groups == {"red sofa": ["a", "b"], "couch": ["a"]} and pins.others == {"a", "b", "c"}
    assert queries.groups == {"a": ["red sofa", "couch"], "b": ["red sofa"]}
    assert [grouping.groups for grouping in web] == [{"cake": ["e"]}, {"e": ["cake"]}]


def test_a_board_groups_its_pins() -> None:
    boards = Boards(["x#1", "y#2"], ["x", "y"], np.array([0, 0, 1]), pa.array(["a", "b", "c"]))
    assert of_boards(boards).groups == {"x#1": ["a", "b"], "y#2": ["c"]}
