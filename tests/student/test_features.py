"""The fitted specification says the same offline and online, or refuses."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pinrank.errors import ModelError
from pinrank.student import features
from pinrank.student.declaration import Declaration
from pinrank.student.features import FeatureSpec, Space, order_of
from pinrank.student.values import NUMBER, WORDS, Values, nothing, unit
from tests.student.featured import declaration

STATISTICS = {"pair.shown": (2.0, 1.0), "query.searches": (0.0, 1.0), "pin.saves": (1.0, 0.5), "pin.price": (10.0, 4.0)}


def spec(**changes: object) -> FeatureSpec:
    declared = declaration()
    texts = dict.fromkeys((*declared.lexical_names, *declared.counts, "cosine.search"), (0.5, 2.0))
    content = {
        "declared": declared,
        "order": order_of(declared),
        "statistics": texts | STATISTICS,
        "vocabularies": {"query.intent": ("buy",), "query.interest": ("food", "home"), "pin.category": ("shop",)},
        "spaces": {"search": Space(version="search@1", dim=2), "graph": Space(version="graph@1", dim=3)},
    }
    return FeatureSpec.model_validate(content | changes)


def numbers(*values: float | None) -> pa.Array:
    return pa.array(values, NUMBER)


def words(*values: list[str] | None) -> pa.Array:
    return pa.array(values, WORDS)


def test_a_number_is_normalised_and_cut_and_a_missing_one_is_marked() -> None:
    values = Values(4, {"price": numbers(18.0, None, 1e9, -1e308)})
    names = spec().order.pin
    side = spec().side("pin", values).numbers_NW
    start = 3 + 1 + 2 + 1 + 2  # two vectors with their marks, then saves
    assert names[-3:-1] == ("pin.price", "pin.price.missing")
    assert side[:, start:].tolist() == [[2.0, 0.0], [0.0, 1.0], [6.0, 0.0], [-6.0, 0.0]]


def test_log1p_comes_before_the_statistics() -> None:
    values = Values(1, {"saves": numbers(np.e**2 - 1)})
    assert spec().side("pin", values).numbers_NW[0, 7:9].tolist() == pytest.approx([2.0, 0.0])


def test_values_find_their_rows_and_the_rest_is_unknown_or_missing() -> None:
    interests = words(["home"], ["sea", "food", "home", "food"], [], None)
    buckets = spec().side(
        "query", Values(4, words={"interest": interests, "intent": words(["buy"], ["rent"], [], None)})
    )
    assert buckets.buckets_NM[:, 0].tolist() == [2, features.UNKNOWN, features.MISSING, features.MISSING]
    assert buckets.buckets_NM[:, 1:].tolist() == [[3, -1, -1], [1, 2, 3], [0, -1, -1], [0, -1, -1]]


def test_nothing_known_is_all_missing() -> None:
    side = spec().side("query", nothing(1))
    assert side.numbers_NW.tolist() == [[0.0, 0.0, 1.0, 0.0, 1.0]]
    assert side.buckets_NM.tolist() == [[0, 0, -1, -1]]


def test_a_vector_has_the_size_of_as_many_numbers() -> None:
    vectors = unit(np.asarray([[3.0, 4.0], [0.0, 0.0]]))
    side = spec().side("query", Values(2, vectors={"search": vectors}))
    np.testing.assert_allclose(side.numbers_NW[:, :3], [[0.6 * 2**0.5, 0.8 * 2**0.5, 0.0], [0.0, 0.0, 1.0]], rtol=1e-6)


def test_the_cosine_of_a_space_is_missing_where_either_vector_is() -> None:
    query, pins = unit(np.asarray([[1.0, 0.0]])), unit(np.asarray([[1.0, 1.0], [0.0, 0.0]]))
    pair = spec().pair(np.full((2, 5), 0.5, np.float32), Values(2, {"shown": numbers(None, np.e - 1)}), query, pins)
    assert pair[:, :5].tolist() == [[0.0] * 5] * 2
    np.testing.assert_allclose(pair[:, 5:], [[0, 1, (0.5**0.5 - 0.5) / 2, 0], [-1, 0, 0, 1]], atol=1e-6)
    assert spec().names[5:] == ("pair.shown", "pair.shown.missing", "cosine.search", "cosine.search.missing")


def test_the_shapes_are_those_of_the_arrays() -> None:
    shapes = spec().shapes
    for name, shape in (("query", shapes.query), ("pin", shapes.pin)):
        side = spec().side(name, nothing(3))
        assert side.numbers_NW.shape == (3, shape.num_numbers)
        assert side.buckets_NM.shape == (3, shape.num_buckets)
    assert shapes.num_pair == len(spec().names)
    assert spec().space_dim == 2


def test_a_specification_survives_saving(tmp_path: Path) -> None:
    spec().save(tmp_path)
    opened = FeatureSpec.open(tmp_path)
    assert opened == spec()
    assert opened.hash == spec().hash
    assert json.loads((tmp_path / features.SPEC_FILE).read_text())["hash"] == opened.hash


def test_the_hash_depends_on_every_number_and_on_the_order() -> None:
    other = spec(statistics=spec().statistics | {"pin.price": (10.0, 4.5)})
    declared = declaration().model_dump()
    declared["pin"]["numeric"] = {name: declared["pin"]["numeric"][name] for name in ("price", "saves")}
    turned = Declaration.model_validate(declared)
    assert len({spec().hash, other.hash, spec(declared=turned, order=order_of(turned)).hash}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"order": {"pair": ["bm25.title"], "query": [], "pin": []}},
        {"statistics": {}},
        {"vocabularies": {}},
        {"spaces": {}},
        {"hash": "0000"},
        {"dtype": "float16"},
        {"extra": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_altered_specification_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    spec().save(tmp_path)
    path = tmp_path / features.SPEC_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=r"feature_spec\.json"):
        FeatureSpec.open(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_specification_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / features.SPEC_FILE).write_text(content)
    with pytest.raises(ModelError, match=r"feature_spec\.json"):
        FeatureSpec.open(tmp_path)
