"""The pairs of a day's lists, as label_impressions reads them: each (query, pin) once, however often it was shown."""

from collections import Counter

import pyarrow as pa

from pinrank.tables import SAMPLED_PAIRS
from pinrank.text import pair_keys

SOURCE = "served"


def pairs_of(served: pa.Table) -> pa.Table:
    """SAMPLED_PAIRS of SERVED, in the order of their keys; weight: how often the pair was shown.

    Of a query's spellings and locales the pair has those that are there most often, the first by name of equal ones.
    """
    queries, pin_ids = served["query"].to_pylist(), served["pin_id"].to_pylist()
    spelled: dict[str, Counter[tuple[str, str, str]]] = {}
    for key, query, locale, pin_id in zip(
        pair_keys(queries, pin_ids), queries, served["query_locale"].to_pylist(), pin_ids, strict=True
    ):
        spelled.setdefault(key, Counter())[(query, locale or "", pin_id)] += 1
    rows = []
    for key in sorted(spelled):
        query, locale, pin_id = min(spelled[key], key=lambda each: (-spelled[key][each], each))
        rows.append(
            {
                **{"pair_key": key, "query": query, "query_locale": locale or None, "pin_id": pin_id},
                **{"source": SOURCE, "stratum": SOURCE, "weight": float(spelled[key].total())},
            }
        )
    return pa.Table.from_pylist(rows, schema=SAMPLED_PAIRS.schema)
