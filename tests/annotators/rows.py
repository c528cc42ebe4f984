"""Small tables of several annotators' judgments."""

from collections.abc import Sequence

import pyarrow as pa

from pinrank.annotators.ratings import Ratings, ordered, ratings
from pinrank.tables import JUDGMENTS


def judgments(*grades: tuple[str, str | None, int], source: str = "toy") -> pa.Table:
    """JUDGMENTS of (pair, annotator, level); the pair names a query and a pin of its own."""
    rows = [
        {
            "judgment_id": f"{source}-{pair}-{annotator}-{number}",
            "query_id": f"q-{pair}",
            "query": f"query {pair}",
            "query_locale": "en",
            "pin_id": f"pin-{pair}",
            "level": level,
            "relevance": (level - 1) / 4,
            "annotator_id": annotator,
            "source": source,
            "pair_type": "",
            "split": "train",
        }
        for number, (pair, annotator, level) in enumerate(grades)
    ]
    return pa.Table.from_pylist(rows, JUDGMENTS.schema)


def graded(table: pa.Table) -> Ratings:
    """The ratings of a table in any order."""
    return ratings(ordered(table))


def grid(**levels_of: Sequence[int | None]) -> pa.Table:
    """JUDGMENTS of annotators who went through the same pairs; None is a pair that they left out."""
    grades = [
        (f"{pair:02}", name, level)
        for name, levels in levels_of.items()
        for pair, level in enumerate(levels)
        if level is not None
    ]
    return judgments(*grades)
