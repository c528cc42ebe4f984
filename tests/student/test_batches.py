"""Examples become padded batches that hold every distinct text once."""

import numpy as np
import pyarrow as pa
import pytest

from pinrank import lexical
from pinrank.student.batches import ROWS_STEP, Prepare, collate, length_cut
from pinrank.student.declaration import read_declaration
from pinrank.student.fit import fit
from pinrank.student.settings import StudentSettings
from tests.student.featured import examples

QUERIES = ["pasta", "red sofa", "pasta", "lamp", "a very small red lamp", "pasta"]


@pytest.fixture(scope="module")
def prepared(tiny_settings: StudentSettings, rows: list[dict[str, str]]) -> pa.Table:
    pins = [rows[0], rows[1], rows[0], rows[5], rows[5], rows[2]]
    pairs = examples(list(zip(QUERIES, pins, strict=True)))
    stats = lexical.fit(lexical.field_terms(rows))
    spec = fit(read_declaration(), pairs, stats)
    return Prepare(tiny_settings.backbone, tiny_settings.text, stats, spec)(pairs)


def test_each_distinct_text_is_encoded_once(prepared: pa.Table) -> None:
    batch = collate(prepared, pad_id=0)
    assert len(batch) == 6
    assert len(batch.query_of_pair.unique()) == len(batch.pin_of_pair.unique()) == 4
    assert batch.queries[0].shape[0] == batch.pins[0].shape[0] == ROWS_STEP
    for row, (query_ids, pin_ids) in enumerate(
        zip(prepared["query_ids"].to_pylist(), prepared["pin_ids"].to_pylist(), strict=True)
    ):
        for (ids, mask), which, wanted in (
            (batch.queries, batch.query_of_pair, query_ids),
            (batch.pins, batch.pin_of_pair, pin_ids),
        ):
            place = which[row]
            assert ids[place][mask[place].bool()].tolist() == wanted


def test_distinct_texts_lie_in_order_of_length(prepared: pa.Table) -> None:
    batch = collate(prepared, pad_id=0)
    for _, mask in (batch.queries, batch.pins):
        lengths = mask.sum(dim=1).tolist()
        assert lengths == sorted(lengths) and lengths[0] < lengths[-1]


def test_no_text_is_longer_than_its_budget(prepared: pa.Table, tiny_settings: StudentSettings) -> None:
    longest = max(len(ids) for ids in prepared["query_ids"].to_pylist())
    assert longest <= tiny_settings.text.max_query_tokens
    assert len(prepared["features"][0].as_py()) == 29  # 25 lexical and 4 counts


def test_length_cut_yields_every_row_once_in_like_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 40, 100)
    window = pa.table({"pin_ids": [[7] * length for length in lengths.tolist()], "row": range(100)})
    batches = list(length_cut([window], batch_size=10, seed=1))
    rows = [row for batch in batches for row in batch["row"].to_pylist()]
    assert sorted(rows) == list(range(100))
    spread = [np.ptp(lengths[batch["row"].to_numpy()]) for batch in batches]
    assert max(spread) < 12
    again = [batch["row"].to_pylist() for batch in length_cut([window], 10, seed=1)]
    assert again == [batch["row"].to_pylist() for batch in batches]
