"""Fitting the specification to the pairs to learn from, and the features of such pairs.

Letters: N pairs, T features of the texts.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pinrank import lexical
from pinrank.lexical import LexicalStats
from pinrank.student.column_statistics import Moments, of_columns, without_values
from pinrank.student.declaration import Declaration
from pinrank.student.feature_tables import NO_TABLES, FeatureTables, values_of
from pinrank.student.features import FeatureSpec, Space, order_of, space_cosines
from pinrank.student.inputs import Features
from pinrank.student.text_features import of_texts
from pinrank.student.values import Floats, present

SAMPLE = 20_000
"""Pairs from which the statistics of their texts and cosines are taken; those of columns are taken from all pairs."""

CONSTANT = 1e-4
"""A feature of the texts that varies less than this is one that says nothing, and stays 0."""


def fit(
    declared: Declaration,
    examples: pa.Table,
    stats: LexicalStats,
    tables: FeatureTables = NO_TABLES,
    learnt: Iterable[pa.Table] | None = None,
) -> FeatureSpec:
    """The specification whose numbers have mean 0 and deviation 1 on these pairs (EXAMPLES, in random order).

    learnt: all pairs to learn from, in pieces with query, query_locale and pin_id, where the examples are only drawn
    from them; columns are counted over these. Raises TableError when no pair has a value of a declared feature.
    """
    sample = examples.slice(0, SAMPLE)
    pieces = [examples] if learnt is None else learnt
    columns, vocabularies = of_columns(declared, pieces, replace(tables, vectors={}))
    statistics = _of_texts(declared, texts_of(declared, sample, stats)) | columns
    spaces, cosines = _of_vectors(declared, sample, tables)
    return FeatureSpec(
        declared=declared,
        order=order_of(declared),
        statistics=statistics | cosines,
        vocabularies=vocabularies,
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


def _of_vectors(
    declared: Declaration, sample: pa.Table, tables: FeatureTables
) -> tuple[dict[str, Space], dict[str, tuple[float, float]]]:
    """The external embeddings, and mean and deviation of the cosines of those of both sides."""
    query, pin, _ = values_of(sample, tables)
    for side, values in (("query", query), ("pin", pin)):
        if unmatched := [name for name, vectors_ND in values.vectors.items() if not present(vectors_ND).any()]:
            raise without_values(f"{side}.{unmatched[0]}", "external_embeddings", sample.num_rows)
    spaces = {}
    for name, each in declared.external.items():
        opened = tables.vectors[each.sides[0], name]
        spaces[name] = Space(version=opened.name, dim=opened.vector_dim)
    statistics = {}
    for name in declared.spaces:
        (cosine_N,) = space_cosines([spaces[name].dim], query.vectors[name], pin.vectors[name])
        moments = Moments()
        moments.add(cosine_N)
        if not moments.count:
            raise without_values(f"cosine.{name}", "external_embeddings", sample.num_rows)
        statistics[f"cosine.{name}"] = moments.statistics()
    return spaces, statistics
