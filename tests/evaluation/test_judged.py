"""pinrank.evaluation.judged: from a judgments table and from a system's output to columns that can be compared."""

import numpy as np
import pyarrow as pa
import pytest

from pinrank.evaluation.judged import from_logits, from_scores, judged
from pinrank.tables import JUDGMENTS


def judgments(**columns: list) -> pa.Table:
    """A judgments table of three rows, some columns replaced."""
    given = {
        "judgment_id": ["1", "2", "3"],
        "query_id": ["q", "q", "q"],
        "query": ["red shoes"] * 3,
        "query_locale": ["en", None, "en"],
        "pin_id": ["a", "b", "c"],
        "level": [5, 2, 1],
        "relevance": [0.9, None, 0.0],
        "annotator_id": [None] * 3,
        "source": ["shop", "shop", "web"],
        "pair_type": [None, "", "kin"],
        "split": ["test"] * 3,
    }
    return pa.table(given | columns, schema=JUDGMENTS.schema)


def test_a_query_is_one_id_of_one_source() -> None:
    np.testing.assert_array_equal(judged(judgments()).queries_N, [0, 0, 1])


def test_a_missing_relevance_is_the_level_on_the_same_scale() -> None:
    np.testing.assert_allclose(judged(judgments()).relevance_N, [0.9, 0.25, 0.0], rtol=1e-6)
    without = judged(judgments(relevance=[None] * 3))
    np.testing.assert_allclose(without.relevance_N, [1.0, 0.25, 0.0])


def test_null_locale_and_pair_type_are_empty() -> None:
    human = judged(judgments())
    assert human.locales_N.tolist() == ["en", "", "en"] and human.pair_types_N.tolist() == ["", "", "kin"]


def test_taken_rows_number_their_queries_anew() -> None:
    part = judged(judgments()).take(np.array([2]))
    assert part.queries_N.tolist() == [0] and part.levels_N.tolist() == [1] and len(part) == 1


def test_logits_become_score_level_and_probability_of_each_cut() -> None:
    certain = np.full((1, 5), -100.0)
    certain[0, 3] = 100.0
    graded = from_logits(certain)
    assert graded.scores_N[0] == pytest.approx(0.75) and graded.levels_N is not None and graded.levels_N[0] == 4
    np.testing.assert_allclose(graded.at_least_NC, [[1.0, 1.0, 0.0]], atol=1e-9)


def test_a_baseline_holds_its_score_against_every_cut() -> None:
    graded = from_scores(np.array([2.0, 7.0]), None)
    np.testing.assert_array_equal(graded.at_least_NC, [[2.0] * 3, [7.0] * 3])
    assert graded.take(np.array([1])).levels_N is None
