"""The figures of a card: every source, every locale with enough pairs."""

import numpy as np
import pytest

from pinrank.evaluation.by_segment import LEAST_LOCALE_PAIRS, METRICS, figures_of
from pinrank.evaluation.judged import Judged, from_logits


def human(num_pairs: int) -> Judged:
    """Pairs of two sources, three to a query; `de` has enough of them, `ja` one too few."""
    random = np.random.default_rng(0)
    levels_N = random.integers(1, 6, num_pairs)
    few = LEAST_LOCALE_PAIRS - 1
    return Judged(
        levels_N=levels_N,
        relevance_N=(levels_N - 1) / 4,
        queries_N=np.arange(num_pairs) // 3,
        sources_N=np.array(["shop"] * 30 + ["web"] * (num_pairs - 30)),
        locales_N=np.array(["ja"] * few + ["de"] * (num_pairs - few)),
        pair_types_N=np.full(num_pairs, ""),
    )


def test_every_source_and_every_locale_with_enough_pairs_has_figures() -> None:
    judged = human(150)
    found = figures_of(judged, from_logits(np.eye(5)[judged.levels_N - 1] * 9.0))
    assert list(found.by_source) == ["overall", "shop", "web"] and list(found.by_locale) == ["de"]
    assert set(found.by_source["shop"]) == {"num_pairs", "num_queries", *METRICS}
    assert found.by_source["shop"]["num_pairs"] == 30
    assert found.by_source["shop"]["accuracy"] == 1.0 and found.by_locale["de"]["ndcg_at_10"] == pytest.approx(1.0)


def test_an_undefined_metric_is_null() -> None:
    judged = human(60).take(np.array([0]))
    assert figures_of(judged, from_logits(np.zeros((1, 5)))).by_source["overall"]["spearman"] is None
