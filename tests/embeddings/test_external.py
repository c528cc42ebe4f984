"""Named external embeddings: a table of id → vector, missing ids allowed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pinrank.embeddings import external
from pinrank.embeddings.external import open_external, table_of
from pinrank.errors import TableError
from pinrank.tables import EXTERNAL_EMBEDDINGS, write

VECTORS = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)


def written(folder: Path, table: pa.Table) -> str:
    write(table, str(folder / "pins"), EXTERNAL_EMBEDDINGS)
    return str(folder / "pins")


def test_vectors_come_in_the_order_asked_and_a_missing_id_is_a_zero_row(tmp_path: Path):
    found = open_external(written(tmp_path, table_of("graph@1", ["a", "b", "c"], VECTORS)))
    assert (found.name, found.vector_dim) == ("graph@1", 2)
    vectors, known = found.gather(["c", "nobody", "a", "c"])
    assert known.tolist() == [True, False, True, True]
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0, 0], [1, 0], [0.6, 0.8]], atol=1e-3)
    assert vectors.dtype == np.float16


def test_many_vectors_are_written_in_chunks_and_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(external, "ROWS_PER_CHUNK", 2)
    table = table_of("graph@1", ["a", "b", "c"], VECTORS)
    assert table["vector"].num_chunks == 2
    np.testing.assert_allclose(open_external(written(tmp_path, table)).vectors_MD, VECTORS, atol=1e-3)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (EXTERNAL_EMBEDDINGS.schema.empty_table(), "found no row"),
        (pa.concat_tables([table_of("one", ["a"], VECTORS[:1]), table_of("two", ["b"], VECTORS[:1])]), "'one', 'two'"),
        (
            pa.concat_tables([table_of("one", ["a", "b", "c"], VECTORS), table_of("one", ["d"], VECTORS[:1, :1])]),
            "lengths",
        ),
        (table_of("one", ["a", "b"], np.array([[1.0], [np.nan]])), r"not finite in 1 rows \(1\)"),
        (table_of("one", ["a", "b"], np.array([[np.inf], [1.0]])), r"not finite in 1 rows \(0\)"),
        (table_of("one", ["a", "a"], VECTORS[:2]), "repeats the id"),
    ],
)
def test_a_table_that_is_no_single_embedding_is_refused(table: pa.Table, complaint: str, tmp_path: Path):
    with pytest.raises(TableError, match=complaint):
        open_external(written(tmp_path, table))
