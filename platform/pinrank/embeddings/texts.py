"""The pins of pin_text and what is recorded of them, as hashes: what must be embedded is told without any text.

Letters: P pins, M recorded pins, N values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank import logs
from pinrank.embeddings.pin_keys import Keys, key_hashes
from pinrank.errors import TableError
from pinrank.faults import empty_rows
from pinrank.keys import Hashes, column_hashes, distinct, mixed
from pinrank.parquet import cast, exists
from pinrank.tables import PIN_EMBEDDINGS, PIN_TEXT, Table

ROWS_A_PIECE = 100_000

NONE = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Texts:
    """The hash of each pin's id, and of its fingerprint, in one order."""

    keys_P: Keys
    fingerprints_P: Hashes

    @property
    def pairs(self) -> Hashes:
        """For each pin a hash of each pin's id and fingerprint together."""
        return mixed(self.keys_P, self.fingerprints_P)


@dataclass(frozen=True)
class Recorded:
    """The fingerprints of which an encoder's vectors are recorded, sorted, and `pairs` of the pins that have one.

    whole: the record holds no other encoder's vector.
    """

    fingerprints: Hashes
    pairs_M: Hashes
    whole: bool

    def is_of(self, texts: Texts) -> bool:
        """Whether the record holds just these pins, each with the vector of its text."""
        return self.whole and np.array_equal(np.sort(self.pairs_M), np.sort(texts.pairs))


def read_texts(path: str) -> Texts:
    """The pins of a PIN_TEXT table. Raises TableError when there are none, or an id is empty or comes twice."""
    keys, fingerprints = [NONE], [NONE]
    for rows in pieces_of(path, PIN_TEXT, ["pin_id", "fingerprint"]):
        keys.append(key_hashes(rows["pin_id"].to_pylist()))
        fingerprints.append(column_hashes(rows["fingerprint"]))
    texts = Texts(np.concatenate(keys), np.concatenate(fingerprints))
    if not len(texts.keys_P):
        raise TableError(f"{path}: no rows, so there is nothing to embed. Run python -m pipelines.build_pin_text.")
    if repeated := len(texts.keys_P) - len(distinct(texts.keys_P)):
        raise TableError(
            f"{path}: column 'pin_id' repeats the id of an earlier row in {repeated} rows. Keep one row each."
        )
    return texts


def read_record(path: str, encoder: str) -> Recorded:
    """What a PIN_EMBEDDINGS table holds of an encoder's vectors; nothing where there is no table."""
    pairs, fingerprints, others = [NONE], [NONE], 0
    for rows in pieces_of(path, PIN_EMBEDDINGS, ["pin_id", "fingerprint", "encoder"]) if exists(path) else ():
        ours = rows.filter(pc.equal(rows["encoder"], encoder))
        fingerprints.append(column_hashes(ours["fingerprint"]))
        pairs.append(mixed(key_hashes(ours["pin_id"].to_pylist()), fingerprints[-1]))
        others += rows.num_rows - ours.num_rows
    return Recorded(distinct(np.concatenate(fingerprints)), np.concatenate(pairs), whole=not others)


def pieces_of(path: str, table: Table, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of a table, at most ROWS_A_PIECE rows at a time.

    Raises TableError when it is missing or damaged, lacks a column or has one of another type, or a required value is
    empty.
    """
    schema = pa.schema([table.schema.field(name) for name in columns])
    for stretch in logs.cut(path, Table(table.name, schema, table.required), ROWS_A_PIECE):
        for start, piece in logs.pieces(stretch, columns, ROWS_A_PIECE):
            rows = cast(piece, schema, stretch.file)
            found = [each for name in table.required if name in columns for each in empty_rows(rows, name)]
            if found:
                said = " ".join(each.message((each.rows + start).tolist()) for each in found)
                raise TableError(f"{stretch.file}: {said}")
            yield rows


def among(values_N: Hashes, sorted_M: Hashes) -> NDArray[np.bool_]:
    """Which values are among the sorted ones."""
    if not len(sorted_M):
        return np.zeros(len(values_N), dtype=bool)
    places_N = np.minimum(np.searchsorted(sorted_M, values_N), len(sorted_M) - 1)
    return np.asarray(sorted_M[places_N] == values_N)
