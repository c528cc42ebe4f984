"""Features that come with a request, and what is said about those that the student does not have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank.student.features import FeatureSpec
from pinrank.student.values import Values
from serve_apps.rerank.features import pair_values, query_values
from serve_apps.rerank.problems import Problem
from tests.student.test_features import spec

SPEC = spec()


def told(spec: FeatureSpec = SPEC, **given: object) -> str:
    with pytest.raises(Problem) as caught:
        query_values(given, spec)
    assert (caught.value.status, caught.value.error_type) == (422, "invalid_request")
    return str(caught.value)


def test_each_kind_is_read() -> None:
    values = query_values({"searches": 7, "intent": "buy", "interest": ["food", "sea"], "search": [3, 4.0]}, SPEC)
    assert values.numbers["searches"].to_pylist() == [7.0]
    assert values.words["intent"].to_pylist() == [["buy"]]
    assert values.words["interest"].to_pylist() == [["food", "sea"]]
    assert values.vectors["search"][0].tolist() == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("given", [None, {}, {"searches": None, "search": None}])
def test_what_is_not_said_is_missing(given: dict[str, object] | None) -> None:
    assert query_values(given, SPEC) == Values(1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"mood": 1},
            "query_features.mood: the student has no such feature; it has searches, intent, interest, search",
        ),
        ({"saves": 1}, "query_features.saves: the student has no such feature"),
        ({"searches": "7"}, "query_features.searches: must be a number, or null"),
        ({"searches": True}, "query_features.searches: must be a number, or null"),
        ({"searches": float("nan")}, "query_features.searches: must be within ±1e+300; send null where it is missing"),
        ({"searches": 10**400}, "query_features.searches: must be within ±1e+300; send null where it is missing"),
        ({"searches": 1.01e300}, "query_features.searches: must be within ±1e+300"),
        ({"searches": -1}, "query_features.searches: must not be negative"),
        ({"intent": 1}, "query_features.intent: must be a text, or null"),
        ({"intent": ["buy", "make"]}, "query_features.intent: must be one text"),
        ({"intent": "\ud800"}, "query_features.intent: must be a text, or null"),
        ({"interest": [1]}, "query_features.interest: must be a text, a list of texts, or null"),
        ({"search": [1.0]}, "query_features.search: must be a list of 2 numbers, or null"),
        ({"search": [1.0, "x"]}, "query_features.search[1]: must be a number, or null"),
        ({"search": [1.0, 1e300]}, "query_features.search: numbers must be within -65504..65504"),
        ({"graph": [1.0, 1.0, 1.0]}, "query_features.graph: the student has no such feature"),
    ],
)
def test_a_mistake_names_its_feature(given: dict[str, object], message: str) -> None:
    assert told(**given).startswith(message)


def test_a_student_of_texts_alone_has_none() -> None:
    from tests.serve_apps.test_routes import NO_FEATURES

    assert told(NO_FEATURES, searches=1).endswith("no such feature; it has none")


def test_features_of_pairs_have_a_row_a_document() -> None:
    values = pair_values([{"shown": 3}, None, {}], SPEC)
    assert values is not None and values.numbers["shown"].to_pylist() == [3.0, None, None]
    assert pair_values([None], SPEC) is None


def test_features_of_pairs_come_in_columns_too() -> None:
    values = pair_values({"shown": [3, None, 4.5]}, SPEC)
    assert values is not None and values.numbers["shown"].to_pylist() == [3.0, None, 4.5]
    assert pair_values({}, SPEC) is None


def test_a_mistake_in_a_document_names_it() -> None:
    with pytest.raises(Problem, match=r"^documents\[1\]\.pair_features\.shown: must not be negative"):
        pair_values([None, {"shown": -3}], SPEC)
    with pytest.raises(Problem, match=r"^documents\[0\]\.pair_features\.saves: the student has no such feature"):
        pair_values([{"saves": 3}], SPEC)
    with pytest.raises(Problem, match=r"^pair_features\.shown\[1\]: must be a number, or null"):
        pair_values({"shown": [1, "2"]}, SPEC)
    with pytest.raises(Problem, match=r"^pair_features\.saves: the student has no such feature"):
        pair_values({"saves": [1]}, SPEC)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "buy", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", ""]), inner, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["searches", "intent", "interest", "search", "", "x"]), JSON))
def test_any_json_object_is_features_or_a_problem_of_422(given: dict[str, object]) -> None:
    try:
        values = query_values(given, SPEC)
    except Problem as problem:
        assert problem.status == 422
    else:
        assert SPEC.side("query", values).numbers_NW.shape == (1, SPEC.shapes.query.num_numbers)
