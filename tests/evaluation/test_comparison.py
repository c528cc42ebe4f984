"""pinrank.evaluation.comparison: figures and paired differences on pairs that can be checked by hand."""

import numpy as np
import pytest

from pinrank.evaluation.comparison import (
    HEADINGS,
    LEAST_QUERIES,
    OTHER,
    BootstrapSettings,
    Figure,
    Gain,
    against,
    best_row,
    locale_groups,
    measure_rows,
    section,
    take,
)
from pinrank.evaluation.judged import Graded, Judged, from_logits, from_scores

BOOTSTRAP = BootstrapSettings(num_resamples=200)
LEVELS = np.tile([1, 2, 4, 5], 20)


@pytest.fixture(scope="module")
def human() -> Judged:
    """20 queries of four pins of the levels 1, 2, 4, 5; the first 12 queries are English, 5 German, 3 Finnish."""
    queries = np.repeat(np.arange(20), 4)
    return Judged(
        levels_N=LEVELS,
        relevance_N=(LEVELS - 1) / 4,
        queries_N=queries,
        sources_N=np.full(80, "shop"),
        locales_N=np.select([queries < 12, queries < 17], ["en", "de"], "fi"),
        pair_types_N=np.full(80, ""),
    )


def says(levels: np.ndarray) -> Graded:
    """A system that is sure of these levels."""
    return from_logits(20.0 * np.eye(5)[levels - 1])


@pytest.fixture(scope="module")
def systems() -> dict[str, Graded]:
    """One that is right, the same again, one that takes 4 for 5 and 2 for 1, and one without levels."""
    rough = np.tile([1, 1, 5, 5], 20)
    return {
        "right": says(LEVELS),
        "again": says(LEVELS),
        "rough": says(rough),
        "blind": from_scores(np.zeros(80), None),
    }


def test_figures_are_what_the_hand_counts(human: Judged, systems: dict[str, Graded]) -> None:
    found = section("all", human, measure_rows(human, systems, BOOTSTRAP), {})
    assert (found.name, found.num_pairs, found.num_queries) == ("all", 80, 20)
    assert list(found.figures) == list(systems) and set(found.figures["right"]) == set(HEADINGS)
    assert {metric: figure.value for metric, figure in found.figures["right"].items()} == dict.fromkeys(HEADINGS, 1.0)
    rough = found.figures["rough"]
    assert rough["accuracy"].value == 0.5 and rough["accuracy"].ci95 == (0.5, 0.5)  # in each query two of four
    assert rough["auroc_4"].value == 1.0  # 4 and 5 are above 1 and 2
    assert rough["auroc_5"].value == pytest.approx((1 * 0.5 + 2) / 3, abs=1e-6)  # ties with the 4, above 1 and 2
    # observed 2 of 4 off by one: 0.5; by chance E[a^2] + E[b^2] - 2 E[a] E[b] = 11.5 + 13 - 2 * 3 * 3 = 6.5
    assert rough["qwk"].value == pytest.approx(1 - 0.5 / 6.5, abs=1e-6)
    blind = found.figures["blind"]
    assert blind["accuracy"].value is None and blind["accuracy"].ci95 == (None, None)
    assert blind["spearman"].value is None and blind["auroc_3"].value == 0.5


def test_identical_systems_differ_by_exactly_nothing(human: Judged, systems: dict[str, Graded]) -> None:
    measures = measure_rows(human, systems, BOOTSTRAP)
    (contrast,) = section("all", human, measures, {"Against": against(systems, "right")}).contrasts
    assert contrast.against == {"again": "right", "rough": "right", "blind": "right"}
    for gain in contrast.gains["again"].values():
        assert gain == Gain(0.0, (0.0, 0.0), 0.0) and not gain.is_sure


def test_a_difference_is_paired_by_resample(human: Judged, systems: dict[str, Graded]) -> None:
    measures = measure_rows(human, systems, BOOTSTRAP)
    pairs = {"rough": "right", "right": "rough", "blind": "right"}
    (contrast,) = section("all", human, measures, {"Against": pairs}).contrasts
    assert contrast.gains["rough"]["accuracy"] == Gain(-0.5, (-0.5, -0.5), 0.0)
    assert contrast.gains["right"]["accuracy"] == Gain(0.5, (0.5, 0.5), 1.0)
    assert contrast.gains["right"]["accuracy"].is_sure and contrast.gains["rough"]["accuracy"].is_sure
    assert contrast.gains["blind"]["accuracy"] == Gain(None, (None, None), None)
    assert not contrast.gains["blind"]["accuracy"].is_sure


def test_the_best_row_is_the_first_of_the_largest_and_never_an_undefined_one(
    human: Judged, systems: dict[str, Graded]
) -> None:
    measures = measure_rows(human, systems, BOOTSTRAP)
    assert best_row(measures, "accuracy") == "right"
    backwards = {row: measures[row] for row in ("blind", "rough", "again", "right")}
    assert best_row(backwards, "accuracy") == "again"


def test_a_contrast_without_rows_is_left_out(human: Judged, systems: dict[str, Graded]) -> None:
    only = {"right": systems["right"]}
    assert (
        section("all", human, measure_rows(human, only, BOOTSTRAP), {"Against": against(only, "right")}).contrasts == ()
    )


def test_few_queries_have_figures_but_no_intervals(human: Judged, systems: dict[str, Graded]) -> None:
    rows = np.arange(4 * (LEAST_QUERIES - 1))
    part = human.take(rows)
    measures = measure_rows(part, take(systems, rows), BOOTSTRAP)
    found = section("few", part, measures, {"Against": against(systems, "right")})
    assert found.figures["rough"]["accuracy"] == Figure(0.5, (None, None))
    assert found.contrasts[0].gains["rough"]["accuracy"] == Gain(-0.5, (None, None), None)
    assert not found.contrasts[0].gains["rough"]["accuracy"].is_sure


def test_locales_with_few_pairs_are_pooled(human: Judged, systems: dict[str, Graded]) -> None:
    groups = dict(locale_groups(human, ("en",), min_pairs=20))
    assert {name: len(rows) for name, rows in groups.items()} == {"en (trained on)": 48, "de": 20, OTHER: 12}
    assert {name: len(rows) for name, rows in locale_groups(human, ("fi", "sv"), 21)} == {
        "fi, sv (trained on)": 12,
        "en": 48,
        OTHER: 20,
    }
    assert [name for name, _ in locale_groups(human, ("it",), 2)] == ["en", "de", "fi"]
    assert sorted(np.concatenate(list(groups.values())).tolist()) == list(range(80))
    assert len(take(systems, groups["de"])["right"].scores_N) == 20
