"""Small tables for the labelling tests."""

import pyarrow as pa

from pinrank.tables import PIN_TEXT, SAMPLED_PAIRS
from pinrank.text import FIELDS, fingerprint, pair_key


def sampled(*pairs: tuple[str, str]) -> pa.Table:
    """A sampled_pairs table of (query, pin_id)."""
    rows = [
        {"pair_key": pair_key(query, pin), "query": query, "query_locale": "en", "pin_id": pin, "source": "toy"}
        for query, pin in pairs
    ]
    return pa.Table.from_pylist([row | {"stratum": "en/toy", "weight": 1.0} for row in rows], SAMPLED_PAIRS.schema)


def pin_texts(**titles: str) -> pa.Table:
    """A pin_text table of pins that have nothing but a title."""
    rows = []
    for pin_id, title in titles.items():
        fields = dict.fromkeys(FIELDS, "") | {"title": title}
        rows.append({"pin_id": pin_id, "source": "toy", "locale": "en", **fields, "fingerprint": fingerprint(fields)})
    return pa.Table.from_pylist(rows, PIN_TEXT.schema)
