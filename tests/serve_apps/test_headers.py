"""Which id a request has, and what headers say of an answer."""

import re
import time

import numpy as np
import pytest
from starlette.datastructures import Headers

from serve_apps.rerank.answer import GradedDocuments
from serve_apps.rerank.asked import Ranked
from serve_apps.rerank.headers import answered, request_id, told

NOTHING = GradedDocuments(np.zeros((0, 5)), np.zeros(0, dtype=bool), np.zeros(0), [])


@pytest.mark.parametrize("given", ["a", "0b6c9e7e-0000-4000-8000-000000000000", "trace:1/2=3@host+x.y_z", "x" * 128])
def test_a_well_formed_id_is_kept(given: str) -> None:
    assert request_id(Headers({"X-Request-Id": given})) == given


@pytest.mark.parametrize("given", ["", " ", "a b", "x" * 129, "\u00e9", 'a"'])
def test_any_other_is_replaced(given: str) -> None:
    made = request_id(Headers({"X-Request-Id": given}))
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert made != request_id(Headers())


def test_an_answer_says_who_made_it_how_fast_and_with_what_missing() -> None:
    ranked = Ranked(NOTHING, "student@1", {"encode": 1.25, "rank": 0.5}, "text,lexical", "miss")
    response = answered({"a": 1}, ranked, time.perf_counter())
    assert response.body == b'{"a":1}'
    assert response.headers["x-model-version"] == "student@1"
    assert (response.headers["x-cache"], response.headers["x-degraded"]) == ("miss", "text,lexical")
    assert re.fullmatch(r"encode;dur=1\.25, rank;dur=0\.5, total;dur=[\d.e-]+", response.headers["server-timing"])


def test_what_there_is_not_is_not_said() -> None:
    response = answered({}, Ranked(NOTHING, "student@1", {}), time.perf_counter())
    assert not {"x-cache", "x-degraded"} & set(response.headers)


def test_a_name_in_any_script_makes_a_header() -> None:
    assert told("学生@1", {}, 0.0)["X-Model-Version"] == r"\u5b66\u751f@1"
