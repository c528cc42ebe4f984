"""Fitting the specification to the pairs to learn from, and the features of such pairs.

Letters: N pairs, T features of the texts.
"""

from dataclasses import replace
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pinrank import lexical
from pinrank.errors import TableError
from pinrank.lexical import LexicalStats
from pinrank.student.declaration import Categorical, Declaration, SideName
from pinrank.student.feature_tables import NO_TABLES, FeatureTables
from pinrank.student.features import FeatureSpec, Space, order_of, raw_numbers, space_cosines
from pinrank.student.inputs import Features
from pinrank.student.text_features import of_texts
from pinrank.student.values import Floats, Values, present

SAMPLE = 20_000
"""Pairs from which the statistics of their texts and cosines are taken; those of columns are taken from all pairs."""

CONSTANT = 1e-4
"""A feature of the texts that varies less than this is one that says nothing, and stays 0."""


def fit(
    declared: Declaration, examples: pa.Table, stats: LexicalStats, tables: FeatureTables = NO_TABLES
) -> FeatureSpec:
    """The specification whose numbers have mean 0 and deviation 1 on these pairs (EXAMPLES, in random order).

    Raises TableError when no pair has a value of a declared feature.
    """
    query, pin, pair = values_of(examples, replace(tables, vectors={}))
    sample = examples.slice(0, SAMPLE)
    statistics = _of_texts(declared, texts_of(declared, sample, stats))
    for side, values in (("pair", pair), ("query", query), ("pin", pin)):
        columns = declared.pair if side == "pair" else declared.columns(cast(SideName, side))
        for name, each in columns.numeric.items():
            statistics[f"{side}.{name}"] = _statistics(raw_numbers(name, each.log1p, values), f"{side}.{name}")
    spaces, cosines = _of_vectors(declared, sample, tables)
    return FeatureSpec(
        declared=declared,
        order=order_of(declared),
        statistics=statistics | cosines,
        vocabularies=_vocabularies(declared, "query", query) | _vocabularies(declared, "pin", pin),
        spaces=spaces,
    )


def features_of(
    examples: pa.Table, spec: FeatureSpec, stats: LexicalStats, tables: FeatureTables = NO_TABLES
) -> Features[NDArray[np.generic]]:
    """All features of pairs (EXAMPLES) as the MLP reads them."""
    query, pin, pair = values_of(examples, tables)
    texts_NT = texts_of(spec.declared, examples, stats)
    pair_NF = spec.pair(texts_NT, pair, spec.space_vectors(query), spec.space_vectors(pin))
    return Features(pair_NF, spec.side("query", query), spec.side("pin", pin))


def values_of(examples: pa.Table, tables: FeatureTables) -> tuple[Values, Values, Values]:
    """What the tables know of the queries, the pins and the pairs of EXAMPLES."""
    queries, locales, pin_ids = (examples[name].to_pylist() for name in ("query", "query_locale", "pin_id"))
    return tables.queries(queries, locales), tables.pins(pin_ids), tables.pairs(queries, pin_ids)


def texts_of(declared: Declaration, examples: pa.Table, stats: LexicalStats) -> Floats:
    """The features of the texts of EXAMPLES before normalisation, float32[N, T]."""
    queries = [lexical.query_terms(query) for query in examples["query"].to_pylist()]
    pins = lexical.field_terms(examples.select(list(lexical.READ)).to_pylist(), stats.words)
    return of_texts(declared, queries, pins, stats)


def _of_texts(declared: Declaration, texts_NT: Floats) -> dict[str, tuple[float, float]]:
    means, stds = texts_NT.mean(axis=0, dtype=np.float64), texts_NT.std(axis=0, dtype=np.float64)
    return {
        name: (round(float(mean), 6), round(float(std), 6) if std > CONSTANT else 1.0)
        for name, mean, std in zip((*declared.lexical_names, *declared.counts), means, stds, strict=True)
    }


def _statistics(raw_N: NDArray[np.float64], key: str) -> tuple[float, float]:
    known_N = raw_N[~np.isnan(raw_N)]
    if not len(known_N):
        raise _without_values(key)
    mean, std = float(known_N.mean()), float(known_N.std())
    return mean, std if std > 1e-9 * max(1.0, abs(mean)) else 1.0


def _of_vectors(
    declared: Declaration, sample: pa.Table, tables: FeatureTables
) -> tuple[dict[str, Space], dict[str, tuple[float, float]]]:
    """The external embeddings, and mean and deviation of the cosines of those of both sides."""
    query, pin, _ = values_of(sample, tables)
    for side, values in (("query", query), ("pin", pin)):
        if unmatched := [name for name, vectors_ND in values.vectors.items() if not present(vectors_ND).any()]:
            raise _without_values(f"{side}.{unmatched[0]}", "external_embeddings")
    spaces = {}
    for name, each in declared.external.items():
        opened = tables.vectors[each.sides[0], name]
        spaces[name] = Space(version=opened.name, dim=opened.vector_dim)
    statistics = {}
    for name in declared.spaces:
        (cosine_N,) = space_cosines([spaces[name].dim], query.vectors[name], pin.vectors[name])
        statistics[f"cosine.{name}"] = _statistics(cosine_N, f"cosine.{name}")
    return spaces, statistics


def _vocabularies(declared: Declaration, side: SideName, values: Values) -> dict[str, tuple[str, ...]]:
    categorical = declared.columns(side).categorical
    return {
        f"{side}.{name}": _vocabulary(f"{side}.{name}", each, values.words.get(name))
        for name, each in categorical.items()
    }


def _vocabulary(key: str, declared: Categorical, words: pa.Array | None) -> tuple[str, ...]:
    """The values that enough pairs have, the most frequent first, equals by name."""
    if words is None or not len(words.flatten()):
        raise _without_values(key)
    counted = pc.value_counts(words.flatten().drop_null())
    counts = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
    frequent = (value for value, count in counts.items() if count >= declared.min_count)
    return tuple(sorted(frequent, key=lambda value: (-counts[value], value))[: declared.max_size])


def _without_values(key: str, table: str | None = None) -> TableError:
    side, _, name = key.partition(".")
    return TableError(
        f"{table or f'{side}_features'}: '{name}' of the {side} is known in none of the pairs to learn from. Give the "
        "table the queries and pins of the labels, or take the feature out of feature_spec.yaml."
    )
