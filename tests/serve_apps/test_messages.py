"""What a rerank request may look like, and what is said about one that may not."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.rerank import by_ids, routes
from serve_apps.rerank.asked import Asked
from serve_apps.rerank.bodies import parse as parsed
from serve_apps.rerank.by_ids import RankRequest
from serve_apps.rerank.jina import JinaRequest
from serve_apps.rerank.messages import VISIBLE, RerankRequest
from serve_apps.rerank.problems import Problem


def parse(**fields: object) -> Asked:
    body = json.dumps({"query": "red shoes", "documents": ["a"], **fields})
    return routes.asked_of(parsed(body.encode(), RerankRequest), 9)


def told(**fields: object) -> str:
    with pytest.raises(Problem) as caught:
        parse(**fields)
    assert caught.value.status == 422
    return str(caught.value)


def malformed(body: bytes) -> str:
    with pytest.raises(Problem) as caught:
        parsed(body, RerankRequest)
    assert (caught.value.status, caught.value.error_type) == (400, "malformed_json")
    return str(caught.value)


def test_documents_are_texts_or_ids_or_both() -> None:
    asked = parse(documents=["a", {"text": "b"}, {"id": "p1"}, {"id": "p2", "text": "c"}])
    assert (asked.ids, asked.texts) == ([None, None, "p1", "p2"], ["a", "b", None, "c"])


def test_fields_of_other_servers_are_ignored() -> None:
    assert parse(max_tokens_per_doc=4096, documents=[{"text": "a", "title": "b"}]).texts == ["a"]


def test_white_space_around_texts_and_ids_is_cut() -> None:
    asked = parse(query=" red\n", documents=[" a ", {"id": "\tp"}])
    assert (asked.query, asked.ids, asked.texts) == ("red", [None, "p"], ["a", None])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"query": ""}, "query: must not be empty"),
        ({"query": " \t\n"}, "query: must not be empty"),
        ({"query": 3}, "query: input should be a valid string"),
        ({"query": "\x1c"}, "query: must not be empty"),
        ({"query": "\x85\u3000"}, "query: must not be empty"),
        ({"documents": []}, "documents: list should have at least 1 item after validation, not 0"),
        ({"documents": "a"}, "documents: input should be a valid array"),
        ({"documents": ["a", ""]}, "documents[1]: must not be empty"),
        ({"documents": ["a", {"text": " "}]}, "documents[1].text: must not be empty"),
        ({"documents": [{}]}, 'documents[0]: a document is a text, {"text": ...} or {"id": ...}'),
        ({"documents": [{"id": 7}]}, "documents[0].id: input should be a valid string"),
        ({"documents": [{"id": ""}]}, "documents[0].id: must not be empty"),
        ({"documents": [{"id": None}]}, "documents[0].id: input should be a valid string"),
        ({"timeout_ms": 0}, "timeout_ms: input should be greater than 0"),
        ({"timeout_ms": 1e12}, "timeout_ms: input should be less than or equal to 600000"),
        ({"top_n": 0}, "top_n: input should be greater than or equal to 1"),
        ({"top_n": "2"}, "top_n: input should be a valid integer"),
        ({"top_n": 2.5}, "top_n: input should be a valid integer"),
        ({"top_n": True}, "top_n: input should be a valid integer"),
        ({"return_levels": "yes"}, "return_levels: input should be a valid boolean"),
    ],
)
def test_a_fault_names_its_field(fields: dict[str, object], message: str) -> None:
    assert told(**fields) == message


def test_a_document_of_another_type_is_refused() -> None:
    assert told(documents=[None]).startswith("documents[0]: input should be")
    assert told(documents=[["a"]]).startswith("documents[0]: input should be")


def test_many_faults_are_counted() -> None:
    assert told(documents=[""] * 10).endswith("documents[2]: must not be empty; and 7 more")


def test_a_query_is_empty_just_where_python_and_the_openapi_say_so() -> None:
    for character in map(chr, [*range(0x100), 0x1680, *range(0x2000, 0x2030), 0x205F, 0x3000, 0xFEFF]):
        assert bool(re.search(VISIBLE, character)) == bool(character.strip()), ascii(character)
        if character.strip():
            assert parse(query=character).query == character
        else:
            assert told(query=character) == "query: must not be empty"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert parsed(b'{"query": "a", "documents": ["b"], "top_n": 2.0}', RerankRequest).top_n == 2


def test_zero_results_are_all_in_the_form_that_says_so() -> None:
    whole = parsed(b'{"query": "a", "documents": ["b"], "top_n": 0}', JinaRequest)
    assert routes.asked_of(whole, 9).top_n is None
    assert parse(top_n=1).top_n == 1


def test_a_body_that_is_no_json_is_malformed() -> None:
    assert malformed(b"[") == "the body is no JSON: EOF while parsing a list at line 1 column 1"
    assert malformed(b"") == "the body is no JSON: EOF while parsing a value at line 1 column 0"
    assert "invalid unicode code point" in malformed(b'{"query": "\xff"}')


def test_half_a_surrogate_pair_is_malformed() -> None:
    assert "hex escape" in malformed(b'{"query": "\\ud800", "documents": ["a"]}')


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_literals_that_json_does_not_have_are_malformed_wherever_they_stand(literal: str) -> None:
    assert malformed(b'{"query": "a", "documents": ["b"], "x": [%b]}' % literal.encode()).startswith("the body is no")
    assert parse(query=literal).query == literal


def test_deep_nesting_is_malformed() -> None:
    assert "recursion limit exceeded" in malformed(b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}")


def test_json_that_is_no_object_is_refused() -> None:
    with pytest.raises(Problem, match="must be a JSON object") as caught:
        parsed(b"[1]", RerankRequest)
    assert caught.value.status == 422


def test_pins_by_id_come_in_columns() -> None:
    body = {"query": "a", "pin_ids": ["p", "q"], "pair_features": {"shown": [1, None]}}
    asked = by_ids.asked_of(parsed(json.dumps(body).encode(), RankRequest), 9)
    assert (asked.ids, asked.texts, asked.pair_features) == (["p", "q"], [None, None], {"shown": [1, None]})


def test_a_column_of_another_length_is_refused() -> None:
    body = {"query": "a", "pin_ids": ["p", "q"], "pair_features": {"shown": [1]}}
    with pytest.raises(Problem, match=r"pair_features\.shown: has 1 values for 2 pin_ids"):
        by_ids.asked_of(parsed(json.dumps(body).encode(), RankRequest), 9)


KEYS = st.sampled_from(["id", "text", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", " ", "a", "\0", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["query", "documents", "top_n", "return_levels", "model"]), JSON))
def test_any_json_object_is_a_request_or_has_told_faults(body: dict[str, object]) -> None:
    try:
        asked = routes.asked_of(parsed(json.dumps(body).encode(), RerankRequest), 9)
    except Problem as problem:
        assert problem.status in (400, 422) and str(problem)
    else:
        assert asked.query.strip()
        assert all(pin_id or text for pin_id, text in zip(asked.ids, asked.texts, strict=True))
