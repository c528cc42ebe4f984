"""The steps down that an answer takes when a part is late or gone, on the real graph in this process."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayActorError

from pinrank import lexical
from pinrank.student.export import read_card
from serve_apps.rerank.answer import ranking
from serve_apps.rerank.asked import Asked, Ranked
from serve_apps.rerank.batches import Batches
from serve_apps.rerank.by_ids import RankRequest, rank_answer
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.deadline import Deadline
from serve_apps.rerank.ingress import Rerank
from tests.serve_apps.graph import Instead, asked, graph
from tests.serve_apps.shop import Shop

PINS = [f"pin-{number}" for number in range(30)]
BUDGET_MS, RESERVE_MS = 2_000.0, 1_600.0
"""What is left for the parts is much less than `late` takes; what is kept is ample for ranking on a busy machine."""


@pytest.fixture
def rerank(shop: Shop) -> Rerank:
    return graph(shop, read_card(shop.student).version, rank_reserve_ms=RESERVE_MS)


async def late(*given: Any) -> Any:
    await asyncio.sleep(5)


async def gone(*given: Any) -> Any:
    raise RayActorError


def rank(rerank: Rerank, question: Asked) -> Ranked:
    return asyncio.run(rerank.rank(question))


def with_encoder(rerank: Rerank, **methods: Any) -> Rerank:
    rerank.ranker.encoder = Instead(rerank.ranker.encoder, methods)
    return rerank


def by_words(shop: Shop, pin_ids: list[str]) -> list[int]:
    """The order of BM25 over all fields, equals in the order given."""
    rows = [shop.pins[pin_id] for pin_id in pin_ids]
    stats = lexical.LexicalStats.open(shop.student)
    scores_N = lexical.bm25_scores(["red wool sweater"] * len(rows), rows, stats)
    return np.argsort(-scores_N.round(5), kind="stable").tolist()


def test_a_whole_answer_takes_no_step_down(rerank: Rerank) -> None:
    ranked = rank(rerank, asked(PINS, timeout_ms=30_000.0))
    assert (ranked.degraded, ranked.cache, ranked.graded.graded_N.all()) == (None, "miss", True)
    assert rank(rerank, asked(PINS)).cache == "hit"


@pytest.mark.parametrize("encode", [late, gone])
def test_without_the_querys_vector_the_words_decide(shop: Shop, rerank: Rerank, encode: Any) -> None:
    ranked = rank(with_encoder(rerank, encode=encode), asked(PINS, timeout_ms=BUDGET_MS))
    assert (ranked.degraded, ranked.cache) == ("lexical", None)
    assert not ranked.graded.graded_N.any()
    assert ranked.graded.found == [True] * len(PINS)
    assert ranking(ranked.graded).tolist() == by_words(shop, PINS)


def test_a_pin_that_no_store_holds_is_graded_by_its_text(rerank: Rerank) -> None:
    ranked = rank(rerank, asked(["gone", "pin-1"], ["red sweater", None]))
    assert (ranked.degraded, ranked.graded.graded_N.tolist()) == ("text", [True, True])
    assert ranked.graded.found == [False, True]


def test_texts_that_stand_in_for_pins_are_encoded_up_to_the_limit_and_scored_by_their_words_beyond(shop: Shop) -> None:
    rerank = graph(shop, read_card(shop.student).version, max_texts=3)
    encode, given = rerank.ranker.encoder.candidates, []

    async def noted(version: str, texts: list[str]) -> Candidates:
        given.extend(texts)
        return await encode(version, texts)

    texts = [f"red sweater {number}" for number in range(6)]
    ranked = rank(with_encoder(rerank, candidates=noted), asked([None, *map(str, range(5))], texts))
    assert given == texts[:3]
    assert (ranked.degraded, ranked.graded.graded_N.tolist()) == ("text,lexical", [True] * 3 + [False] * 3)
    assert (ranked.graded.by_words_N[3:] > 0).all()


def test_a_text_that_cannot_be_encoded_in_time_is_scored_by_its_words_and_comes_after_the_pins(rerank: Rerank) -> None:
    question = asked(["gone", None, "pin-1"], ["red sweater", "tax form", None], timeout_ms=BUDGET_MS)
    ranked = rank(with_encoder(rerank, candidates=late), question)
    assert ranked.degraded == "text,lexical"
    assert ranked.graded.graded_N.tolist() == [False, False, True]
    assert ranking(ranked.graded).tolist() == [2, 0, 1]


def test_a_pin_without_anything_keeps_its_place_behind_the_others(rerank: Rerank) -> None:
    ranked = rank(rerank, asked(["gone", "pin-1", "away"]))
    assert ranked.degraded == "input_order"
    assert ranking(ranked.graded).tolist() == [1, 0, 2]


def test_without_the_pin_store_texts_are_graded_and_pins_keep_their_order(rerank: Rerank) -> None:
    rerank.ranker.pins = Instead(rerank.ranker.pins, {"lookup": gone})
    ranked = rank(rerank, asked(["pin-2", "pin-1", None], [None, None, "red sweater"]))
    assert ranked.degraded == "input_order"
    assert ranking(ranked.graded).tolist() == [2, 0, 1]


@pytest.mark.parametrize("lookup", [late, gone])
def test_a_pin_that_nobody_could_look_up_is_not_called_missing(rerank: Rerank, lookup: Any) -> None:
    rerank.ranker.pins = Instead(rerank.ranker.pins, {"lookup": lookup})
    ranked = rank(rerank, asked(["pin-1", "gone"], [None, "red sweater"], timeout_ms=BUDGET_MS))
    assert ranked.graded.found == [None, None]
    told = rank_answer(RankRequest(query="red wool sweater", pin_ids=["pin-1", "gone"]), ranked, "an id")
    assert "not_found" not in told


@pytest.mark.parametrize("answer", [late, gone])
def test_without_a_ranker_the_answer_is_the_order_given(rerank: Rerank, answer: Any) -> None:
    rerank.ranker = Instead(rerank.ranker, {"rank": answer})
    ranked = rank(rerank, asked(PINS, timeout_ms=BUDGET_MS))
    assert ranked.degraded == "input_order"
    assert ranking(ranked.graded).tolist() == list(range(len(PINS)))


def test_an_explanation_that_is_late_is_left_out_and_the_ranking_stays(
    rerank: Rerank, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rank(rerank, asked(PINS, timeout_ms=30_000.0, explain=3))
    assert set(whole.explained) == set(ranking(whole.graded)[:3].tolist())
    monkeypatch.setattr("serve_apps.rerank.ranking.explained_best", lambda *given: time.sleep(1))
    ranked = rank(rerank, asked(PINS, timeout_ms=BUDGET_MS, explain=3))
    assert (ranked.degraded, ranked.explained, ranked.graded.graded_N.all()) == (None, {}, True)


def test_tokens_that_cannot_be_counted_in_time_are_none(rerank: Rerank) -> None:
    question = asked([None], ["red sweater"])
    version = rerank.live.current
    assert asyncio.run(rerank.count_tokens(question, version, Deadline(None))) > 4
    rerank.encoder = Instead(rerank.encoder, {"count_tokens": late})
    assert asyncio.run(rerank.count_tokens(question, version, Deadline(10.0))) == 0


def test_the_settings_budget_holds_where_the_request_says_none(shop: Shop) -> None:
    rerank = graph(shop, read_card(shop.student).version, budget_ms=BUDGET_MS, rank_reserve_ms=RESERVE_MS)
    assert rank(with_encoder(rerank, encode=late), asked(PINS)).degraded == "lexical"


def test_a_vector_that_came_too_late_is_there_for_the_next_request(rerank: Rerank) -> None:
    async def slowly(asked: list[tuple[str, str]]) -> list[np.ndarray]:
        await asyncio.sleep(0.8)
        return [rerank.ranker.students.now(version).encode_queries([query])[0] for version, query in asked]

    async def both() -> tuple[Ranked, Ranked]:
        rerank.ranker.encoder.batches = Batches(slowly, max_size=8)
        too_late = await rerank.rank(asked(PINS, timeout_ms=BUDGET_MS))
        await asyncio.sleep(1)
        return too_late, await rerank.rank(asked(PINS))

    too_late, after = asyncio.run(both())
    assert (too_late.degraded, after.degraded, after.cache) == ("lexical", None, "hit")
