"""Contributions to a score: they add up to it, and what is not known adds nothing."""

from itertools import permutations

import numpy as np
import pytest

from pinrank import lexical
from pinrank.levels import score
from pinrank.student.explanation import MOST_SPACES, Explanation, explain, groups_of, shapley, subsets
from pinrank.student.export import StudentBundle
from pinrank.student.values import Known
from tests.student.conftest import QUERIES, Golden
from tests.student.featured import declaration

Rows = list[dict[str, str]]
GROUPS = {"texts", "query", "pin", "lexical", "counts", "pair", "external: search"}


def known_of(golden: Golden, query: str, rows: Rows) -> Known:
    pin_ids = [row["pin_id"] for row in rows]
    return Known(golden.tables.queries([query]), golden.tables.pairs([query] * len(pin_ids), pin_ids))


def stored(golden: Golden, rows: Rows) -> np.ndarray:
    vectors = golden.bundle.encode_pins(golden.bundle.pin_texts(rows), "float32")
    return golden.bundle.pin_rows(vectors, golden.tables.pins([row["pin_id"] for row in rows]))


def explained(golden: Golden, query: str, rows: Rows, known: Known) -> list[Explanation]:
    query_D = golden.bundle.encode_queries([query])[0]
    return explain(golden.bundle, query, query_D, stored(golden, rows), lexical.field_terms(rows), known)


def scores(bundle: StudentBundle, query: str, rows_NR: np.ndarray, rows: Rows, known: Known) -> np.ndarray:
    features_NF = bundle.features(query, lexical.field_terms(rows), rows_NR, known)
    logits_NL = bundle.logits(bundle.encode_queries([query])[0], rows_NR, features_NF, known)
    return score(bundle.calibration.probabilities(logits_NL))


@pytest.mark.parametrize("query", QUERIES)
def test_base_and_contributions_add_up_to_the_score(golden: Golden, rows: Rows, query: str) -> None:
    known = known_of(golden, query, rows)
    found = explained(golden, query, rows, known)
    added_up = [each.base + sum(each.contributions.values()) for each in found]
    np.testing.assert_allclose(added_up, scores(golden.bundle, query, stored(golden, rows), rows, known), atol=1e-6)
    assert len({each.base for each in found}) == 1
    assert {group for each in found for group in each.contributions} == GROUPS


def test_they_add_up_for_a_student_of_texts_alone(calibrated_student: StudentBundle, rows: Rows) -> None:
    rows_NR = calibrated_student.pin_rows(calibrated_student.encode_pins(calibrated_student.pin_texts(rows)))
    query_D = calibrated_student.encode_queries(["pasta"])[0]
    found = explain(calibrated_student, "pasta", query_D, rows_NR, lexical.field_terms(rows))
    added_up = [each.base + sum(each.contributions.values()) for each in found]
    np.testing.assert_allclose(added_up, scores(calibrated_student, "pasta", rows_NR, rows, Known()), atol=1e-6)
    assert set(found[0].contributions) == {"texts", "lexical", "counts"}


def test_what_is_not_known_adds_nothing(golden: Golden, rows: Rows) -> None:
    for each in explained(golden, "pasta", rows, Known()):
        assert (each.contributions["query"], each.contributions["pair"]) == (0.0, 0.0)
        assert each.contributions["external: search"] == 0.0
    some = explained(golden, "pasta", rows, known_of(golden, "pasta", rows))
    assert max(abs(each.contributions["query"]) for each in some) > 1e-3


def test_contributions_are_the_mean_over_all_orders_of_coming_in() -> None:
    groups, rng = ["a", "b", "c", "d"], np.random.default_rng(0)
    game = {chosen: rng.random(3) for chosen in subsets(groups)}
    orders = list(permutations(groups))
    for group, added_N in shapley(groups, game).items():
        before = [frozenset(order[: order.index(group)]) for order in orders]
        mean_N = np.mean([game[chosen | {group}] - game[chosen] for chosen in before], axis=0)
        np.testing.assert_allclose(added_N, mean_N, atol=1e-12)


def test_values_have_the_names_of_the_specification_and_are_not_normalised(golden: Golden, rows: Rows) -> None:
    known = known_of(golden, "pasta", rows)
    values = explained(golden, "pasta", rows, known)[0].values
    columns = [name for name in golden.bundle.spec.names if not name.endswith(".missing")]
    assert list(values) == [*columns, "cosine"]
    asked = [lexical.query_terms("pasta")]
    matches = lexical.features(asked, lexical.field_terms(rows[:1]), golden.bundle.stats, np.zeros(1, dtype=int))
    assert values["bm25.title"] == pytest.approx(matches[0, lexical.NAMES.index("bm25.title")])
    assert values["pair.shown"] == known.pairs.numbers["shown"][0].as_py()
    assert explained(golden, "pasta", rows, Known())[0].values["pair.shown"] is None


def test_many_external_embeddings_are_one_group() -> None:
    both = {"sides": ["query", "pin"]}
    many = declaration().model_dump() | {"external": {f"e{number}": both for number in range(MOST_SPACES + 1)}}
    groups = groups_of(type(declaration()).model_validate(many))
    assert groups["external"] == [f"cosine.e{number}" for number in range(MOST_SPACES + 1)]
    assert "external: search" in groups_of(declaration())
