"""Small tables for the labelling tests."""

from pathlib import Path

import pyarrow as pa

from pinrank.labeling.shards import GRADED, PAIRS, WORK, Grading, joined, ordered, rendered, with_order_hash
from pinrank.shard_work import Work, write_work
from pinrank.tables import PIN_TEXT, SAMPLED_PAIRS, SOFT_LABELS
from pinrank.text import FIELDS, TextSettings, fingerprint, pair_key

GRADING = Grading(teacher="tiny@00000000", text=TextSettings(), engine="vllm", dtype="float32", rows_per_shard=2)


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


def work_rows(pairs: pa.Table, texts: pa.Table, grading: Grading = GRADING, graded: pa.Table | None = None) -> pa.Table:
    """The pairs as WORK, in the order in which they are graded."""
    pins = rendered(texts, pairs.column("pin_id"), grading.text)
    return ordered(joined(with_order_hash(pairs, grading.order), pins, graded or GRADED.empty_table()), grading.order)


def write(folder: Path, rows: pa.Table, grading: Grading = GRADING) -> Work:
    """A work file of rows (WORK)."""
    assert rows.schema.equals(WORK)
    return write_work(folder, [rows], PAIRS.names, grading.rows_per_shard, grading)


def labels(rows: pa.Table, grading: Grading = GRADING, last: float = 4.0) -> pa.Table:
    """Rows (WORK) as SOFT_LABELS, all with the logits 0, 1, 2, 3, last."""
    columns = {
        "logits": pa.array([[0.0, 1.0, 2.0, 3.0, last]] * rows.num_rows, pa.list_(pa.float32(), 5)),
        "num_tokens": pa.array([7] * rows.num_rows, pa.int32()),
        "teacher": pa.array([grading.teacher] * rows.num_rows),
    }
    chosen = [columns[name] if name in columns else rows.column(name) for name in SOFT_LABELS.schema.names]
    return pa.table(chosen, schema=SOFT_LABELS.schema)


def all_rows(work: Work) -> pa.Table:
    """The rows of a work file."""
    return pa.concat_tables([WORK.empty_table(), *(work.rows(number) for number in range(len(work.shards)))])
