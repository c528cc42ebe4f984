"""The record of all pins' vectors, written anew, a partition at a time, from the last one and what was encoded since.

Letters: P pins.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pinrank.embeddings.texts import ROWS_A_PIECE, pieces_of
from pinrank.embeddings.work import ENCODED, read_shard
from pinrank.errors import TableError
from pinrank.keys import column_hashes
from pinrank.parquet import exists, replaced, write_part
from pinrank.spill import Spilled, read_partition, spill
from pinrank.tables import PIN_EMBEDDINGS, PIN_TEXT

PINS = pa.schema([PIN_TEXT.schema.field(name) for name in ("pin_id", "fingerprint")])


def rewrite(pin_text: str, record: str, encoder: str, num_pins: int, shards: tuple[Path, Sequence[str]]) -> None:
    """Make the table at `record` hold each pin of the table at `pin_text` with the vector of its fingerprint.

    shards: a folder and the names of its shards of new vectors. Raises TableError when a pin's vector is nowhere.
    """
    folder, names = shards
    num_partitions = -(-num_pins // ROWS_A_PIECE)
    spilling = folder / ".spill"
    spilling.mkdir(exist_ok=True)
    pins = _spilled(pieces_of(pin_text, PIN_TEXT, PINS.names), num_partitions, spilling / "pins")
    vectors = _spilled(_vectors(record, encoder, folder, names), num_partitions, spilling / "vectors")
    with replaced(record, num_partitions) as written:
        for partition in range(num_partitions):
            rows = read_partition(pins, partition, PINS)
            known = read_partition(vectors, partition, ENCODED)
            write_part(_joined(rows, known, encoder, pin_text), written, partition)


def _vectors(record: str, encoder: str, folder: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    for name in names:
        yield read_shard(folder, name)
    if exists(record):
        for rows in pieces_of(record, PIN_EMBEDDINGS, PIN_EMBEDDINGS.schema.names):
            yield rows.filter(pc.equal(rows["encoder"], encoder)).select(ENCODED.names)


def _joined(pins: pa.Table, vectors: pa.Table, encoder: str, pin_text: str) -> pa.Table:
    places = pc.index_in(pins["fingerprint"], value_set=vectors["fingerprint"].combine_chunks())
    if places.null_count:
        lost = pins.filter(pc.is_null(places))["pin_id"].to_pylist()
        raise TableError(f"{pin_text}: {len(lost)} pins have no vector ({', '.join(lost[:5])}). Run the job again.")
    columns = {
        "pin_id": pins["pin_id"],
        "vector": vectors["vector"].take(places),
        "fingerprint": pins["fingerprint"],
        "encoder": pa.repeat(encoder, pins.num_rows),
    }
    return pa.table(columns, schema=PIN_EMBEDDINGS.schema).sort_by("pin_id")


def _spilled(pieces: Iterator[pa.Table], num_partitions: int, file: Path) -> list[Spilled]:
    return [
        spill(rows, partial(column_hashes, rows["fingerprint"]), num_partitions, Path(f"{file}-{number}"))
        for number, rows in enumerate(pieces)
    ]
