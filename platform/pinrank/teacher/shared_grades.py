"""A pair's grade for the pins that show the same image in other languages."""

import numpy as np
import pyarrow as pa

from pinrank.keys import hashes
from pinrank.tables import SOFT_LABELS
from pinrank.teacher.siblings import SameImage
from pinrank.text import pair_key


def shared(labels: pa.Table, same: SameImage, pin_text: pa.Table, most: int, seed: int) -> pa.Table:
    """Soft labels of pins in other locales than their query's, with the logits of a sibling in the query's locale.

    labels: SOFT_LABELS. Of a pin's siblings, `most` get the grade, those with the smallest hashes of their pairs; none
    that has a row in `labels`, has no row in pin_text (pin_id, source, fingerprint), or has got the grade of an earlier
    pair. Pairs are taken by their keys; one whose pin has another text today than the one that was graded shares
    nothing.
    """
    labels = labels.sort_by("pair_key")
    texts = {row["pin_id"]: row for row in pin_text.to_pylist()}
    taken = set(labels["pair_key"].to_pylist())
    rows: list[int] = []
    pins: list[str] = []
    keys: list[str] = []
    names = ("query", "query_locale", "pin_id", "fingerprint")
    given = zip(*(labels[name].to_pylist() for name in names), strict=True)
    for row, (query, locale, pin_id, fingerprint) in enumerate(given):
        if same.locale_of.get(pin_id) != locale or texts.get(pin_id, {}).get("fingerprint") != fingerprint:
            continue
        able = {pair_key(query, other): other for other in same.foreign(pin_id) if other in texts}
        free = [key for key in able if key not in taken]
        for place in np.argsort(hashes(free, seed), kind="stable")[:most].tolist():
            taken.add(free[place])
            rows.append(row)
            pins.append(able[free[place]])
            keys.append(free[place])
    found = labels.take(pa.array(rows, pa.int64()))
    changed = {
        "pair_key": keys,
        "pin_id": pins,
        "source": [texts[pin_id]["source"] for pin_id in pins],
        "fingerprint": [texts[pin_id]["fingerprint"] for pin_id in pins],
    }
    columns = [
        pa.array(changed[field.name], field.type) if field.name in changed else found.column(field.name)
        for field in SOFT_LABELS.schema
    ]
    return pa.table(columns, schema=SOFT_LABELS.schema)
