"""Features that come with a request, checked against the student's specification. N documents."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pinrank.student.declaration import Categorical, Numeric
from pinrank.student.features import FeatureSpec
from pinrank.student.values import NUMBER, WORDS, Values, unit
from serve_apps.rerank.asked import PairFeatures
from serve_apps.rerank.problems import Problem

LARGEST = float(np.finfo(np.float16).max)
"""Of the numbers of a vector, which is held as float16."""

LARGEST_NUMBER = 1e300
"""Of other numbers: a million times this is still finite."""

SHOWN = 10
"""Names that an answer lists before it only counts."""


def query_values(given: Mapping[str, Any] | None, spec: FeatureSpec) -> Values:
    """What a request says of its query, one row. Raises Problem 422 that names the feature and what it may be."""
    columns = spec.declared.query
    externals = spec.declared.externals("query")
    given = {name: value for name, value in (given or {}).items() if value is not None}
    _refuse_unknown(given, (*columns.names, *externals), "query_features")
    where = {name: f"query_features.{name}" for name in given}
    return Values(
        1,
        {
            name: pa.array([_number(given[name], each, where[name])], NUMBER)
            for name, each in columns.numeric.items()
            if name in given
        },
        {
            name: pa.array([_words(given[name], each, where[name])], WORDS)
            for name, each in columns.categorical.items()
            if name in given
        },
        {
            name: unit(_vector(given[name], spec.spaces[name].dim, where[name])[None])
            for name in externals
            if name in given
        },
    )


def pair_values(given: PairFeatures, spec: FeatureSpec) -> Values | None:
    """What a request says of its query with each document, a row each; None where it says nothing."""
    if isinstance(given, Mapping):
        return _of_columns(given, spec) if given else None
    return _of_documents(given, spec) if any(each is not None for each in given) else None


def _of_documents(given: Sequence[Mapping[str, Any] | None], spec: FeatureSpec) -> Values:
    declared = spec.declared.pair.numeric
    columns: dict[str, list[float | None]] = {name: [None] * len(given) for name in declared}
    for place, of_document in enumerate(given):
        where = f"documents[{place}].pair_features"
        _refuse_unknown(of_document or {}, tuple(declared), where)
        for name, value in (of_document or {}).items():
            columns[name][place] = None if value is None else _number(value, declared[name], f"{where}.{name}")
    return Values(len(given), {name: pa.array(column, NUMBER) for name, column in columns.items()})


def _of_columns(given: Mapping[str, Sequence[Any]], spec: FeatureSpec) -> Values:
    declared = spec.declared.pair.numeric
    _refuse_unknown(given, tuple(declared), "pair_features")
    columns = {
        name: [
            None if value is None else _number(value, declared[name], f"pair_features.{name}[{place}]")
            for place, value in enumerate(column)
        ]
        for name, column in given.items()
    }
    num_pins = len(next(iter(given.values())))
    return Values(num_pins, {name: pa.array(column, NUMBER) for name, column in columns.items()})


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in given:
        if name not in known:
            listed = ", ".join(known[:SHOWN]) + (f" and {len(known) - SHOWN} more" if len(known) > SHOWN else "")
            raise _invalid(f"{where}.{name}", f"the student has no such feature; it has {listed or 'none'}")


def _number(value: Any, declared: Numeric, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(where, "must be a number, or null")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= LARGEST_NUMBER:
        raise _invalid(where, f"must be within ±{LARGEST_NUMBER:g}; send null where it is missing")
    if declared.log1p and number < 0:
        raise _invalid(where, "must not be negative")
    return number


def _words(value: Any, declared: Categorical, where: str) -> list[str]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) and _is_unicode(word) for word in words):
        raise _invalid(
            where, "must be a text, a list of texts, or null" if declared.max_values > 1 else "must be a text, or null"
        )
    if declared.max_values == 1 and len(words) > 1:
        raise _invalid(where, "must be one text")
    return words


def _vector(value: Any, dim: int, where: str) -> np.ndarray:
    if not isinstance(value, list) or len(value) != dim:
        raise _invalid(where, f"must be a list of {dim} numbers, or null")
    numbers = [_number(each, Numeric(), f"{where}[{place}]") for place, each in enumerate(value)]
    if any(abs(number) > LARGEST for number in numbers):
        raise _invalid(where, f"numbers must be within -{LARGEST:.0f}..{LARGEST:.0f}")
    return np.asarray(numbers, dtype=np.float16)  # as external_embeddings holds what training read


def _is_unicode(word: str) -> bool:
    """Whether it can be written as UTF-8: half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


def _invalid(where: str, reason: str) -> Problem:
    return Problem(422, "invalid_request", f"{where}: {reason}")
