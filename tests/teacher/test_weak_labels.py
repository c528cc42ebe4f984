import numpy as np
import pytest

from pinrank.levels import probabilities
from pinrank.tables import SOFT_LABELS, faults
from pinrank.teacher.siblings import WeakPair
from pinrank.teacher.weak_labels import as_soft_labels, capped, fit, scores
from pinrank.text import FIELDS, TextSettings


def pair(pin_id: str) -> WeakPair:
    return WeakPair("kitten", "en", pin_id)


def pin(pin_id: str, title: str, source: str = "a") -> dict[str, str]:
    return {
        "pin_id": pin_id,
        "source": source,
        "locale": "en",
        "fingerprint": f"f-{pin_id}",
        **dict.fromkeys(FIELDS, ""),
        "title": title,
    }


def test_a_cap_keeps_the_same_pairs_of_each_source_in_any_order() -> None:
    pairs = [pair(str(number)) for number in range(20)]
    sources = ["a"] * 15 + ["b"] * 5
    kept = capped(pairs, sources, 6, seed=1)
    assert [sources[pairs.index(each)] for each in kept] == ["a"] * 6 + ["b"] * 5
    assert set(capped(pairs[::-1], sources[::-1], 6, seed=1)) == set(kept)
    assert capped(pairs, sources, None, seed=1) == pairs


def test_the_ranker_learns_each_source_apart_and_knows_an_answer_for_an_unheard_one() -> None:
    rng = np.random.default_rng(0)
    scores_NF = rng.random((600, 1))
    sources_N = np.repeat(np.asarray(["up", "down"]), 300)
    high_N = scores_NF[:, 0] > 0.5
    levels_N = np.where(high_N == (sources_N == "up"), 5, 1)
    ranker = fit(scores_NF, levels_N, sources_N)
    graded_NL = ranker.probabilities(np.asarray([[0.9], [0.9], [0.9]]), np.asarray(["up", "down", "new"]))
    assert graded_NL[0, 4] > 0.9 and graded_NL[1, 0] > 0.9
    assert graded_NL.sum(axis=1) == pytest.approx(1)
    assert graded_NL.min() > 0  # levels 2 to 4, which no train judgment has


def test_scores_tell_a_pin_that_says_the_query_from_one_that_does_not() -> None:
    catalogue = [pin("1", "a red sofa"), pin("2", "green tea"), pin("3", "tea and more tea")]
    pairs = [("red sofa", catalogue[0]), ("red sofa", catalogue[1])]
    cosine, bm25, of_query, of_pin, asked, said = scores(
        pairs, catalogue, "all-MiniLM-L6-v2", TextSettings(), "float32"
    ).T
    assert cosine[0] > cosine[1] and bm25[0] > bm25[1] == 0
    assert of_query.tolist() == [1, 0] and of_pin.tolist() == pytest.approx([2 / 3, 0])
    assert asked.tolist() == [2, 2] and said.tolist() == [3, 2]


def test_grades_become_a_valid_table_of_soft_labels_whose_version_is_that_of_their_content() -> None:
    graded_NL = np.asarray([[0.1, 0.1, 0.1, 0.1, 0.6], [0.6, 0.1, 0.1, 0.1, 0.1]])
    pins = {name: pin(name, "cat") for name in ("cat", "dog")}
    labels = as_soft_labels([pair("cat"), pair("dog")], graded_NL, pins)
    assert labels.schema == SOFT_LABELS.schema and not faults(labels, SOFT_LABELS)
    logits_NL = np.asarray(labels["logits"].to_pylist())
    assert probabilities(logits_NL) == pytest.approx(graded_NL, abs=1e-6)
    (version,) = set(labels["teacher"].to_pylist())
    assert version != as_soft_labels([pair("cat"), pair("dog")], graded_NL[::-1], pins)["teacher"][0].as_py()
