"""Where the values of features lie for training and offline jobs: tables by query, by pin and by pair, and vectors.

    TABLES/query_features/             query, query_locale, and the columns that the specification names
    TABLES/pin_features/               pin_id, and such columns
    TABLES/pair_features/              query, pin_id, and such columns
    TABLES/external_embeddings/NAME/   queries/ and pins/ (external_embeddings)

Queries are matched as `normalise_query` writes them. Letters: N rows asked for, M rows of a table.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank import tables
from pinrank.embeddings.external import PINS, QUERIES, ExternalEmbedding, open_external
from pinrank.errors import ModelError, TableError
from pinrank.faults import fault
from pinrank.keys import Hashes, hashes
from pinrank.lexical import LexicalStats, WordSettings, collection
from pinrank.lexical.terms import DEFAULT_WORDS
from pinrank.student.declaration import Declaration, Numeric, PairColumns, SideColumns, SideName
from pinrank.student.features import FeatureSpec
from pinrank.student.values import NUMBER, WORDS, Floats, Values, nothing, unit
from pinrank.tables import PAIR_FEATURES, PIN_FEATURES, QUERY_FEATURES, Table, with_columns
from pinrank.text import FIELD_MARK, normalise_query

log = logging.getLogger(__name__)

SIDES: tuple[SideName, ...] = ("query", "pin")
FOLDERS: dict[SideName, str] = {"query": QUERIES, "pin": PINS}


@dataclass(frozen=True)
class Keyed:
    """A table's values, found by the hash of its key: keys_M sorted, and numbers and words in that order."""

    keys_M: Hashes
    numbers: Mapping[str, pa.Array] = field(default_factory=dict)
    words: Mapping[str, pa.Array] = field(default_factory=dict)

    def take(self, *keys: Sequence[str]) -> Values:
        """The values of N rows under the first of their keys that the table has; missing where it has none."""
        if not (self.numbers or self.words) or not len(self.keys_M):
            return nothing(len(keys[0]))
        places_N = np.full(len(keys[0]), -1)
        for each in reversed(keys):
            asked_N = hashes(each, 0)
            found_N = np.minimum(np.searchsorted(self.keys_M, asked_N), len(self.keys_M) - 1)
            places_N = np.where(self.keys_M[found_N] == asked_N, found_N, places_N)
        places = pa.array(places_N, mask=places_N < 0)
        numbers, words = (
            {name: each.take(places) for name, each in part.items()} for part in (self.numbers, self.words)
        )
        return Values(len(places), numbers, words)


NO_TABLE = Keyed(np.zeros(0, dtype=np.uint64))


@dataclass(frozen=True)
class FeatureTables:
    """The values of every declared feature that the texts do not give."""

    query: Keyed = NO_TABLE
    pin: Keyed = NO_TABLE
    pair: Keyed = NO_TABLE
    vectors: Mapping[tuple[SideName, str], ExternalEmbedding] = field(default_factory=dict)

    def queries(self, queries: Sequence[str], locales: Sequence[str | None] | None = None) -> Values:
        """The values of queries; a row of the table without a locale holds for those that have none of their own."""
        names = [normalise_query(query) for query in queries]
        anywhere = [_key(name, "") for name in names]
        here = anywhere if locales is None else [_key(*both) for both in zip(names, locales, strict=True)]
        return self._with_vectors("query", self.query.take(here, anywhere), names)

    def pins(self, pin_ids: Sequence[str]) -> Values:
        """The values of pins."""
        return self._with_vectors("pin", self.pin.take(pin_ids), pin_ids)

    def pairs(self, queries: Sequence[str], pin_ids: Sequence[str]) -> Values:
        """The values of pairs."""
        names = (normalise_query(query) for query in queries)
        return self.pair.take([_key(*both) for both in zip(names, pin_ids, strict=True)])

    def _with_vectors(self, side: SideName, values: Values, ids: Sequence[str]) -> Values:
        vectors = {name: _units(each, ids) for (of, name), each in self.vectors.items() if of == side}
        return Values(values.num_rows, values.numbers, values.words, vectors)


NO_TABLES = FeatureTables()


@dataclass(frozen=True)
class Inputs:
    """What a student shall read: a declaration, and the folder of the tables that it names, open as `tables`.

    Processes that prepare rows open the tables themselves: the folder must be one that all nodes see. `lexical`: the
    statistics of the collection; without them the pins at hand are counted, read as `words` says.
    """

    declared: Declaration
    folder: str | None = None
    tables: FeatureTables = NO_TABLES
    words: WordSettings = DEFAULT_WORDS
    lexical: LexicalStats | None = None

    def stats(self, pin_text: pa.Table) -> LexicalStats:
        """The statistics of the collection whose rows these are."""
        return self.lexical or collection.fit_rows(pin_text, self.words)

    @property
    def content(self) -> list[pa.Table]:
        """All that decides a feature beside the texts."""
        keyed = [self.tables.query, self.tables.pin, self.tables.pair]
        versions = pa.table({"external": [each.name for each in self.tables.vectors.values()]})
        return [*(pa.table({"": each.keys_M, **each.numbers, **each.words}) for each in keyed), versions]


def inputs_of(declared: Declaration, folder: str, words: WordSettings = DEFAULT_WORDS) -> Inputs:
    """Open what a declaration names; raises as open_tables."""
    return Inputs(declared, folder, open_tables(declared, folder), words)


def open_tables(declared: Declaration, folder: str) -> FeatureTables:
    """Read what a declaration names from a folder of pinrank's tables, and check it.

    Raises TableError when a table lacks a declared column, or holds another type, a key twice, a number that is not
    finite, or a negative one where log1p is declared.
    """
    return FeatureTables(
        query=_open(f"{folder}/query_features", QUERY_FEATURES, declared.query),
        pin=_open(f"{folder}/pin_features", PIN_FEATURES, declared.pin),
        pair=_open(f"{folder}/pair_features", PAIR_FEATURES, declared.pair),
        vectors=_open_vectors(declared, folder, SIDES),
    )


def values_of(rows: pa.Table, tables: FeatureTables) -> tuple[Values, Values, Values]:
    """What the tables know of the queries, the pins and the pairs of rows (query, query_locale, pin_id)."""
    queries, locales, pin_ids = (rows[name].to_pylist() for name in ("query", "query_locale", "pin_id"))
    return tables.queries(queries, locales), tables.pins(pin_ids), tables.pairs(queries, pin_ids)


def tables_of(spec: FeatureSpec, folder: str | None) -> FeatureTables:
    """What a trained student reads beside texts; without a folder all of it is missing, and the log says so.

    Raises TableError as open_tables, and ModelError when an external embedding is of another version than in training.
    """
    if not spec.declared.reads_tables:
        return NO_TABLES
    if folder is None:
        log.warning("the student's features beside the texts count as missing: no folder of tables is given")
        return NO_TABLES
    opened = open_tables(spec.declared, folder)
    _refuse_others(spec, opened, folder)
    return opened


def pin_tables_of(spec: FeatureSpec, folder: str) -> FeatureTables:
    """`tables_of` for pins alone: neither query_features nor pair_features need be there."""
    opened = FeatureTables(
        pin=_open(f"{folder}/pin_features", PIN_FEATURES, spec.declared.pin),
        vectors=_open_vectors(spec.declared, folder, ("pin",)),
    )
    _refuse_others(spec, opened, folder)
    return opened


def _refuse_others(spec: FeatureSpec, opened: FeatureTables, folder: str) -> None:
    for (_, name), embedding in opened.vectors.items():
        wanted = spec.spaces[name]
        if (embedding.name, embedding.vector_dim) != (wanted.version, wanted.dim):
            raise ModelError(
                f"{folder}: external embedding '{name}' is {embedding.name} of {embedding.vector_dim} numbers, the "
                f"student was trained on {wanted.version} of {wanted.dim}. Train it again, or bring those vectors back."
            )


def _open(path: str, table: Table, declared: PairColumns) -> Keyed:
    wanted = dict.fromkeys(declared.numeric, NUMBER) | _types_of_words(declared)
    if not wanted:
        return NO_TABLE
    data = tables.read(path, with_columns(table, pa.schema(list(wanted.items()))))
    _refuse_negative(path, data, declared.numeric)
    keys_M = hashes(_keys(data), 0)
    order_M = np.argsort(keys_M, kind="stable")
    _refuse_repeated(path, data, keys_M, order_M)
    sorted_rows = data.take(pa.array(order_M))
    words = {name: _lists(sorted_rows[name]) for name in _types_of_words(declared)}
    return Keyed(keys_M[order_M], {name: sorted_rows[name].combine_chunks() for name in declared.numeric}, words)


def _types_of_words(declared: PairColumns) -> dict[str, pa.DataType]:
    if not isinstance(declared, SideColumns):
        return {}
    return {name: WORDS if each.max_values > 1 else pa.string() for name, each in declared.categorical.items()}


def _keys(data: pa.Table) -> list[str]:
    """The key of each row, as `FeatureTables` asks for it."""
    names = data.schema.names
    if "query" not in names:
        return cast(list[str], data["pin_id"].to_pylist())
    queries = (normalise_query(query) for query in data["query"].to_pylist())
    other = data["pin_id" if "pin_id" in names else "query_locale"].to_pylist()
    return [_key(*both) for both in zip(queries, other, strict=True)]


def _key(query: str, other: str | None) -> str:
    return f"{query}{FIELD_MARK}{other or ''}"


def _refuse_negative(path: str, data: pa.Table, declared: Mapping[str, Numeric]) -> None:
    for name in (name for name, each in declared.items() if each.log1p):
        for found in fault(name, "is negative, and log1p is declared", "Leave log1p out.", pc.less(data[name], 0)):
            raise TableError(f"{path}: {found}")


def _refuse_repeated(path: str, data: pa.Table, keys_M: Hashes, order_M: NDArray[np.int64]) -> None:
    again = np.zeros(len(keys_M), dtype=bool)
    again[order_M[1:]] = keys_M[order_M[1:]] == keys_M[order_M[:-1]]
    mend = "Keep one row a key: queries that differ in case and white space alone are one."
    for found in fault(data.schema.names[0], "repeats the key of an earlier row", mend, again):
        raise TableError(f"{path}: {found}")


def _lists(column: pa.ChunkedArray) -> pa.Array:
    """A column of text as lists of one, null where it is null; lists as they are."""
    column = column.combine_chunks()
    if pa.types.is_list(column.type):
        return column
    sizes = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=np.int32)
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, column.drop_null(), mask=pc.is_null(column))


def _open_vectors(
    declared: Declaration, folder: str, sides: Sequence[SideName]
) -> dict[tuple[SideName, str], ExternalEmbedding]:
    opened: dict[tuple[SideName, str], ExternalEmbedding] = {}
    for name, each in declared.external.items():
        root = f"{folder}/{each.folder or f'external_embeddings/{name}'}"
        mine = {(side, name): open_external(f"{root}/{FOLDERS[side]}") for side in each.sides if side in sides}
        if len(found := {f"{one.name} of {one.vector_dim} numbers" for one in mine.values()}) > 1:
            raise TableError(
                f"{root}: queries/ and pins/ are two embeddings: {', '.join(sorted(found))}. Write both by one "
                "model, or declare them under two names."
            )
        opened |= mine
    return opened


def _units(embedding: ExternalEmbedding, ids: Sequence[str]) -> Floats:
    vectors_ND, _ = embedding.gather(ids)
    return unit(vectors_ND)
