"""From graded documents to the order and the figures of an answer."""

import numpy as np
import pytest

from serve_apps.rerank.answer import GradedDocuments, GradedGroup, answer, join, ranking
from serve_apps.rerank.asked import Ranked
from serve_apps.rerank.by_ids import RankRequest, rank_answer
from serve_apps.rerank.jina import JinaRequest, jina_answer
from serve_apps.rerank.messages import RerankRequest

TIMES = {"encode": 1.0, "candidates": 1.0, "rank": 1.0}
SURE = np.eye(5)


def group(positions: list[int], levels: list[int], found: list[bool] | None = None, by_id: bool = False) -> GradedGroup:
    found_G = np.asarray(found if found is not None else [True] * len(positions))
    return GradedGroup(np.asarray(positions), SURE[[level - 1 for level in levels]], found_G, looked_up=by_id)


def ranked(graded: GradedDocuments, model: str = "s", degraded: str | None = None) -> Ranked:
    return Ranked(graded, model, TIMES, degraded)


def test_ranking_is_by_score_and_equals_keep_their_order() -> None:
    assert ranking(join([group([0, 1, 2, 3, 4], [3, 4, 3, 5, 3])], 5)).tolist() == [3, 1, 0, 2, 4]


def test_documents_without_a_grade_come_last_in_their_order() -> None:
    graded = join([group([0, 1, 2, 3], [5, 2, 5, 3], [False, True, False, True])], 4)
    assert ranking(graded).tolist() == [3, 1, 0, 2]


def test_documents_that_their_words_scored_come_between_graded_and_unknown_ones() -> None:
    by_words = GradedGroup(np.array([0, 2]), None, np.ones(2, dtype=bool), True, np.array([0.2, 0.9]))
    graded = join([by_words, group([1], [1])], 4)
    assert ranking(graded).tolist() == [1, 2, 0, 3]
    assert graded.scores.tolist() == [0.2, 0.0, 0.9, 0.0]
    assert (graded.graded_N.tolist(), graded.found) == ([False, True, False, False], [True, None, True, None])


def test_groups_are_joined_in_the_order_of_the_request() -> None:
    graded = join([group([0, 2], [5, 1], [True, False], by_id=True), group([1], [3])], 3)
    assert graded.probabilities_NL.argmax(axis=1).tolist() == [4, 2, 0]
    assert graded.graded_N.tolist() == [True, True, False]
    assert graded.found == [True, None, False]


def test_a_text_stands_in_for_an_unknown_id() -> None:
    graded = join([group([0], [1], [False], by_id=True), group([0], [4])], 1)
    assert (graded.graded_N.tolist(), graded.found) == ([True], [False])
    assert graded.probabilities_NL.argmax(axis=1).tolist() == [3]


def test_an_answer_holds_what_was_asked_for() -> None:
    request = RerankRequest(query="q", documents=["a", {"id": "p"}, "c"], top_n=2, return_levels=True)
    graded = join([group([1], [1], [False], by_id=True), group([0, 2], [2, 5])], 3)
    given = answer(request, ranked(graded, "student@1", "input_order"), "r-1")
    assert [result["index"] for result in given["results"]] == [2, 0]
    assert given["results"][0] == {
        "index": 2,
        "relevance_score": 1.0,
        "level": 5,
        "expected_level": 5.0,
        "probabilities": [0, 0, 0, 0, 1],
    }
    meta = given["meta"]
    assert (given["id"], meta["model"], meta["not_graded"], meta["degraded"]) == ("r-1", "student@1", 1, "input_order")


def test_levels_and_documents_are_left_out_unless_asked_for() -> None:
    graded = ranked(join([group([0], [3])], 1))
    assert answer(RerankRequest(query="q", documents=["a"]), graded, "r")["results"] == [
        {"index": 0, "relevance_score": 0.5}
    ]
    request = RerankRequest(query="q", documents=["a"], return_documents=True)
    assert answer(request, graded, "r")["results"] == [{"index": 0, "relevance_score": 0.5, "document": {"text": "a"}}]


def test_an_unknown_pin_has_score_zero_and_no_level() -> None:
    request = RerankRequest(query="q", documents=[{"id": "p"}], return_levels=True)
    given = answer(request, ranked(join([group([0], [5], [False], by_id=True)], 1)), "r")
    assert given["results"] == [{"index": 0, "relevance_score": 0.0, "found": False}]


def test_scores_that_differ_in_the_last_bits_tie() -> None:
    probabilities = np.array([[0.2, 0.2, 0.2, 0.2, 0.2], [0.2, 0.2, 0.2, 0.2 - 1e-9, 0.2 + 1e-9]])
    graded = join([GradedGroup(np.arange(2), probabilities, np.ones(2, dtype=bool), looked_up=False)], 2)
    given = answer(RerankRequest(query="q", documents=["a", "b"]), ranked(graded), "r")
    assert [result["index"] for result in given["results"]] == [0, 1]
    assert given["results"][0]["relevance_score"] == pytest.approx(0.5)


def test_jinas_form_repeats_documents_and_counts_tokens() -> None:
    graded = ranked(join([group([0, 1], [1, 3])], 2), "student@1")
    request = JinaRequest(query="q", documents=["a", {"text": "b"}], top_n=0)
    given = jina_answer(request, graded, "r", 7)
    assert (given["model"], given["usage"]) == ("student@1", {"prompt_tokens": 7, "total_tokens": 7})
    assert given["results"] == [
        {"index": 1, "relevance_score": 0.5, "document": {"text": "b"}},
        {"index": 0, "relevance_score": 0.0, "document": {"text": "a"}},
    ]


def test_pins_by_id_are_answered_in_columns() -> None:
    graded = join([group([0, 1, 2], [2, 5, 1], [True, True, False], by_id=True)], 3)
    request = RankRequest(query="q", pin_ids=["a", "b", "gone"], return_levels=True)
    given = rank_answer(request, ranked(graded), "r")
    assert (given["pin_ids"], given["scores"]) == (["b", "a", "gone"], [1.0, 0.25, 0.0])
    assert (given["levels"], given["expected_levels"]) == ([5, 2, None], [5.0, 2.0, None])
    assert (given["probabilities"][0], given["probabilities"][2]) == ([0, 0, 0, 0, 1], None)
    assert given["not_found"] == ["gone"]
