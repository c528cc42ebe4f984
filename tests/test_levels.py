import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pinrank.levels import (
    NAMES,
    NUM_LEVELS,
    at_least,
    expected_level,
    most_likely_level,
    parse_map,
    probabilities,
    score,
)

logits = hnp.arrays(np.float32, (3, 5), elements=st.floats(-80, 80, width=32))


def test_equal_logits_mean_level_three() -> None:
    p = probabilities(np.zeros(5))
    assert p.tolist() == [0.2] * 5
    assert expected_level(p) == pytest.approx(3)
    assert score(p) == pytest.approx(0.5)


def test_certain_levels_map_to_the_ends_of_the_score() -> None:
    assert score(np.eye(5)).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert most_likely_level(np.eye(5)).tolist() == [1, 2, 3, 4, 5]


def test_lower_level_wins_a_tie() -> None:
    assert most_likely_level(np.array([0.1, 0.4, 0.4, 0.1, 0.0])) == 2


@given(logits)
def test_probabilities_are_a_distribution(values: np.ndarray) -> None:
    p = probabilities(values)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    assert ((expected_level(p) >= 1 - 1e-9) & (expected_level(p) <= 5 + 1e-9)).all()


@given(logits, st.floats(-50, 50))
def test_probabilities_ignore_a_shift(values: np.ndarray, shift: float) -> None:
    np.testing.assert_allclose(probabilities(values.astype(np.float64) + shift), probabilities(values), atol=1e-9)


def test_large_logits_do_not_overflow() -> None:
    assert probabilities(np.array([1e4, 0, 0, 0, -1e4])).tolist() == [1, 0, 0, 0, 0]


def test_temperature_flattens() -> None:
    cold, hot = (probabilities(np.arange(5.0), temperature)[4] for temperature in (0.5, 4.0))
    assert cold > hot > 0.2


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        probabilities(np.zeros(5), temperature)


@pytest.mark.parametrize("function", [probabilities, expected_level, score, most_likely_level])
@pytest.mark.parametrize("shape", [(), (4,), (5, 3)])
def test_vectors_must_have_five_levels(function: object, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected 5 levels"):
        function(np.zeros(shape))  # type: ignore[operator]


def test_at_least_sums_the_tail() -> None:
    p = np.array([[0.1, 0.2, 0.3, 0.25, 0.15]])
    assert [at_least(p, cut)[0] for cut in (1, 3, 5)] == pytest.approx([1.0, 0.7, 0.15])
    with pytest.raises(ValueError, match="cut"):
        at_least(p, 6)


def test_every_level_has_a_name() -> None:
    assert len(NAMES) == NUM_LEVELS


def test_map_of_grades_is_parsed() -> None:
    assert parse_map("0:1, 1:3,2:5") == {"0": 1, "1": 3, "2": 5}
    assert parse_map("a:b:4") == {"a:b": 4}


@pytest.mark.parametrize("text", ["", "0", "0:1,", ":1", "0:6", "0:0", "0:x", "0:1,0:2", "0=1"])
def test_anything_else_is_no_map(text: str) -> None:
    with pytest.raises(ValueError, match="grade:level"):
        parse_map(text)
