"""What a rerank request may look like, and what is said about one that may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_apps.rerank.messages import Document, RerankRequest
from serve_apps.rerank.problems import of_faults


def parse(**fields: object) -> RerankRequest:
    return RerankRequest.model_validate({"query": "red shoes", "documents": ["a"], **fields})


def told(**fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        parse(**fields)
    faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in caught.value.errors()]
    return str(of_faults(faults))


def test_documents_are_texts_or_ids_or_both() -> None:
    request = parse(documents=["a", {"text": "b"}, {"id": "p1"}, {"id": "p2", "text": "c"}])
    assert request.documents == [
        Document(text="a"),
        Document(text="b"),
        Document(id="p1"),
        Document(id="p2", text="c"),
    ]


def test_fields_of_other_servers_are_ignored() -> None:
    assert parse(max_tokens_per_doc=4096, documents=[{"text": "a", "title": "b"}]).documents == [Document(text="a")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"query": ""}, "query: must not be empty"),
        ({"query": " \t\n"}, "query: must not be empty"),
        ({"query": 3}, "query: input should be a valid string"),
        ({"query": float("nan")}, "query: input should be a valid string"),
        ({"query": "\ud800"}, "query: input should be a valid string, unable to parse raw data as a unicode string"),
        ({"documents": []}, "documents: list should have at least 1 item after validation, not 0"),
        ({"documents": "a"}, "documents: input should be a valid list"),
        ({"documents": ["a", ""]}, "documents[1].text: must not be empty"),
        ({"documents": ["a", {"text": " "}]}, "documents[1].text: must not be empty"),
        ({"documents": [{}]}, 'documents[0]: a document is a text, {"text": ...} or {"id": ...}'),
        ({"documents": [{"id": 7}]}, "documents[0].id: input should be a valid string"),
        ({"documents": [{"id": ""}]}, "documents[0].id: must not be empty"),
        ({"top_n": 0}, "top_n: input should be greater than or equal to 1"),
        ({"top_n": "2"}, "top_n: input should be a valid integer"),
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
    assert told(documents=[""] * 10).endswith("documents[2].text: must not be empty; and 7 more")


def test_a_body_that_is_no_json_is_malformed() -> None:
    problem = of_faults([{"type": "json_invalid", "loc": ("body", 7), "msg": "", "ctx": {"error": "Expecting value"}}])
    assert (problem.status, str(problem)) == (400, "the body is no JSON: Expecting value at character 7")


KEYS = st.sampled_from(["id", "text", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", " ", "a", "\0", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["query", "documents", "top_n", "return_levels", "model"]), JSON))
def test_any_json_object_is_a_request_or_has_told_faults(body: dict[str, object]) -> None:
    try:
        request = RerankRequest.model_validate(body)
    except ValidationError as cause:
        assert str(of_faults([{**fault, "loc": ("body", *fault["loc"])} for fault in cause.errors()]))
    else:
        assert request.query.strip()
        assert all(document.id or document.text for document in request.documents)
