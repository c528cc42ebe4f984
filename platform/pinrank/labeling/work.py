"""The pairs of a job in the order in which they are graded, made on disk: what is in memory is one piece of a table or
one partition, so that ten million pairs take no more of it than a hundred thousand.

Three tables are cut by hash of pin_id, so that a pair meets its pin's text and its earlier grade in one partition.
There they are joined, and cut again by hash of the query (or pin) that gives them their order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from pinrank import logs
from pinrank.errors import TableError
from pinrank.faults import Fault, empty_rows, repeated_keys
from pinrank.keys import Hashes, column_hashes
from pinrank.labeling import store
from pinrank.labeling.bad_rows import NUMBER, BadRows
from pinrank.labeling.shards import (
    GRADED,
    KEYED,
    ORDER_HASH,
    PAIRS,
    Grading,
    Order,
    joined,
    ordered,
    rendered,
    ungradable,
    with_order_hash,
    wrong_keys,
)
from pinrank.parquet import cast
from pinrank.shard_folder import QUARANTINE, SPILL
from pinrank.shard_work import Work, write_work
from pinrank.spill import Spilled, read_partition, spill
from pinrank.tables import PIN_TEXT, SAMPLED_PAIRS, Table
from pinrank.text import FIELDS

ROWS_IN_MEMORY = 100_000
"""Of a piece, and about of a partition."""

SAMPLED = pa.schema([SAMPLED_PAIRS.schema.field(name) for name in PAIRS.names if name in SAMPLED_PAIRS.schema.names])
NUMBERED = SAMPLED.append(pa.field(NUMBER, pa.int64())).append(KEYED.field(ORDER_HASH))
TEXTS = pa.schema([PIN_TEXT.schema.field(name) for name in ("pin_id", *FIELDS, "fingerprint")])


@dataclass(frozen=True)
class Inputs:
    """Where pairs and texts lie, the earlier jobs, and how many of the pairs may be unusable."""

    pairs: tuple[str, ...]
    pin_text: str
    earlier: Sequence[store.Finished]
    max_quarantined_share: float

    @property
    def where(self) -> str:
        """The tables of pairs, for messages."""
        return ", ".join(self.pairs)


@dataclass(frozen=True)
class Prepared:
    """The work of a job; rows_in counts all sampled pairs, `known` those of the work that are graded already."""

    work: Work
    rows_in: int
    known: int


def prepare(inputs: Inputs, output: Path, grading: Grading) -> Prepared:
    """Write the work file of a job that fills `output`, and its quarantine of pairs that cannot be graded.

    Raises TableError when an input is missing or damaged, holds no pairs, or too many that cannot be graded.
    """
    folder = output / SPILL
    folder.mkdir()
    columns = _columns_of(SAMPLED_PAIRS, SAMPLED)
    sampled = [stretch for pairs in inputs.pairs for stretch in logs.cut(pairs, columns, ROWS_IN_MEMORY)]
    rows_in = logs.num_rows(sampled)
    bad = BadRows(inputs.where, rows_in, inputs.max_quarantined_share)
    by_pin = _spill_inputs(inputs, sampled, bad, grading.order, folder)
    by_order: list[Spilled] = []
    for partition in range(by_pin.num_partitions):
        rows = _joined(by_pin, partition, bad, inputs, grading)
        by_order.append(
            spill(rows, rows.column(ORDER_HASH).to_numpy, by_pin.num_partitions, folder / f"ordered-{partition}")
        )
    if rows_in == bad.count:
        raise TableError(f"{inputs.where}: holds no pairs to grade. Run sample_impressions with more impressions.")
    bad.write(str(output / QUARANTINE / "sampled_pairs"))
    pieces = _Counted(_in_order(by_order, by_pin.num_partitions, grading))
    work = write_work(output, pieces, PAIRS.names, grading.rows_per_shard, grading)
    pa.default_memory_pool().release_unused()  # half of this process's memory, and it only waits for workers from here
    return Prepared(work, rows_in, pieces.known)


@dataclass(frozen=True)
class _ByPin:
    """The inputs on disk, by partition of their pins."""

    pairs: list[Spilled]
    texts: list[Spilled]
    graded: list[Spilled]
    num_partitions: int


def _spill_inputs(inputs: Inputs, sampled: Sequence[logs.Stretch], bad: BadRows, order: Order, folder: Path) -> _ByPin:
    texts = logs.cut(inputs.pin_text, _columns_of(PIN_TEXT, TEXTS), ROWS_IN_MEMORY)
    most = max(logs.num_rows(sampled), logs.num_rows(texts), store.num_rows(inputs.earlier))
    num_partitions = max(1, -(-most // ROWS_IN_MEMORY))

    def spilled(kind: str, pieces: Iterator[pa.Table]) -> list[Spilled]:
        named = enumerate(pieces)
        return [spill(rows, _pins_of(rows), num_partitions, folder / f"{kind}-{number}") for number, rows in named]

    return _ByPin(
        spilled("pairs", _sampled_pieces(sampled, bad, order)),
        spilled("texts", _text_pieces(texts)),
        spilled("graded", _graded_pieces(inputs.earlier)),
        num_partitions,
    )


def _sampled_pieces(stretches: Sequence[logs.Stretch], bad: BadRows, order: Order) -> Iterator[pa.Table]:
    before = 0
    for stretch in stretches:
        for start, piece in logs.pieces(stretch, SAMPLED.names, ROWS_IN_MEMORY):
            rows = cast(piece, SAMPLED, stretch.file)
            first = before + start - stretch.start
            numbers = pa.array(np.arange(first, first + rows.num_rows), pa.int64())
            found = [*_empty(rows, SAMPLED_PAIRS), *wrong_keys(rows)]
            yield with_order_hash(bad.set_aside(rows.append_column(NUMBER, numbers), found), order)
        before += stretch.num_rows


def _text_pieces(stretches: Sequence[logs.Stretch]) -> Iterator[pa.Table]:
    for stretch in stretches:
        for start, piece in logs.pieces(stretch, TEXTS.names, ROWS_IN_MEMORY):
            texts = cast(piece, TEXTS, stretch.file)
            if found := _empty(texts, PIN_TEXT):
                said = " ".join(each.message((each.rows + start).tolist()) for each in found)
                raise TableError(f"{stretch.file}: {said}")
            yield texts


def _graded_pieces(earlier: Sequence[store.Finished]) -> Iterator[pa.Table]:
    """The shards of earlier jobs, many in one piece."""
    waiting: list[pa.Table] = []
    for shard in store.read(earlier):
        waiting.append(shard)
        if sum(each.num_rows for each in waiting) >= ROWS_IN_MEMORY:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _joined(by_pin: _ByPin, partition: int, bad: BadRows, inputs: Inputs, grading: Grading) -> pa.Table:
    pairs = read_partition(by_pin.pairs, partition, NUMBERED)
    texts = read_partition(by_pin.texts, partition, TEXTS)
    if repeated := repeated_keys(texts, PIN_TEXT.key):
        twice = texts.column("pin_id").take(pa.array(repeated[0].rows)).to_pylist()
        raise TableError(
            f"{inputs.pin_text}: column 'pin_id' repeats the id of an earlier row in {len(twice)} rows (e.g. "
            f"{', '.join(twice[:3])}). Keep one row an id."
        )
    pairs = bad.set_aside(pairs, repeated_keys(pairs, SAMPLED_PAIRS.key))
    pins = rendered(texts, pairs.column("pin_id"), grading.text)
    kept = bad.set_aside(pairs, ungradable(pairs, pins))
    return joined(kept, pins, read_partition(by_pin.graded, partition, GRADED))


class _Counted:
    """Pieces in order as they stream by, and how many of their rows are graded already."""

    def __init__(self, pieces: Iterator[pa.Table]) -> None:
        self.pieces = pieces
        self.known = 0

    def __iter__(self) -> Iterator[pa.Table]:
        for piece in self.pieces:
            self.known += piece.num_rows - piece.column("logits").null_count
            yield piece


def _in_order(spilled: Sequence[Spilled], num_partitions: int, grading: Grading) -> Iterator[pa.Table]:
    for partition in range(num_partitions):
        yield ordered(read_partition(spilled, partition, KEYED), grading.order)


def _empty(rows: pa.Table, table: Table) -> list[Fault]:
    return [each for name in table.required for each in empty_rows(rows, name)]


def _columns_of(table: Table, schema: pa.Schema) -> Table:
    """A table of which only some columns are needed."""
    return Table(table.name, schema, table.required, table.key)


def _pins_of(rows: pa.Table) -> partial[Hashes]:
    return partial(column_hashes, rows.column("pin_id"))
