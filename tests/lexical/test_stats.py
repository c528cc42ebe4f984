"""Document frequencies and lengths."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinrank import lexical
from pinrank.errors import ModelError
from tests.lexical.pins import PINS, read


def test_statistics_count_pins_not_occurrences() -> None:
    stats = lexical.fit(read(PINS))
    df = dict(zip(stats.terms.tolist(), stats.df.tolist(), strict=True))
    assert df[int(lexical.term_ids(["pasta"])[0])] == [1, 1, 0, 0, 0, 1, 0, 1]
    assert df[int(lexical.term_ids(["lemon"])[0])] == [1, 1, 0, 0, 0, 0, 0, 2]
    assert stats.num_docs == 4
    assert stats.avg_length[-1] == pytest.approx((10 + 8 + 2) / 4)


def test_statistics_survive_saving(tmp_path: Path) -> None:
    stats = lexical.fit(read(PINS))
    stats.save(tmp_path)
    opened = lexical.LexicalStats.open(tmp_path)
    assert opened.num_docs == stats.num_docs
    for name in ("total_length", "terms", "df", "words"):
        assert np.array_equal(getattr(opened, name), getattr(stats, name))


@pytest.mark.parametrize("damage", [b"", b"not a tensor file"])
def test_damaged_statistics_are_refused(tmp_path: Path, damage: bytes) -> None:
    lexical.fit(read(PINS)).save(tmp_path)
    (tmp_path / lexical.STATS_FILE).write_bytes(damage)
    with pytest.raises(ModelError, match="lexical statistics"):
        lexical.LexicalStats.open(tmp_path)


def test_statistics_of_another_version_are_refused(tmp_path: Path) -> None:
    lexical.fit(read(PINS)).save(tmp_path)
    path = tmp_path / lexical.SETTINGS_FILE
    path.write_text(path.read_text().replace('"format": 2,', ""))
    with pytest.raises(ModelError, match=r"format 1 .* reads format 2 .* Train the student again"):
        lexical.LexicalStats.open(tmp_path)


TITLES = st.lists(st.lists(st.sampled_from(["pasta", "lemon", "sofa", "red"]), max_size=4), max_size=5)


def fitted(titles: list[list[str]]) -> lexical.LexicalStats:
    return lexical.fit(read([{"title": " ".join(title), "caption": "red"} for title in titles]))


def assert_equal(one: lexical.LexicalStats, other: lexical.LexicalStats) -> None:
    assert (one.num_docs, one.words) == (other.num_docs, other.words)
    for name in ("total_length", "terms", "df"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(TITLES, TITLES)
def test_statistics_of_parts_add_up_to_those_of_the_whole(one: list[list[str]], other: list[list[str]]) -> None:
    assert_equal(lexical.merge(fitted(one), fitted(other)), fitted(one + other))


@given(TITLES, TITLES)
def test_a_part_that_is_taken_away_leaves_no_trace(one: list[list[str]], other: list[list[str]]) -> None:
    assert_equal(fitted(one + other).minus(fitted(other)), fitted(one))


def test_what_is_no_part_cannot_be_taken_away() -> None:
    with pytest.raises(ModelError, match="no part of them"):
        fitted([["pasta"], ["sofa"]]).minus(fitted([["lemon"]]))


def test_differently_read_texts_do_not_add_up() -> None:
    words = lexical.WordSettings(stems="none")
    with pytest.raises(ModelError, match="read differently"):
        lexical.merge(fitted([]), lexical.fit(read([], words), words))


def test_statistics_of_other_stemmers_are_refused(tmp_path: Path) -> None:
    lexical.fit(read(PINS)).save(tmp_path)
    path = tmp_path / lexical.SETTINGS_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"snowball": "0.9"}))
    with pytest.raises(ModelError, match=r"Snowball 0\.9, here is .* Install pystemmer 0\.9"):
        lexical.LexicalStats.open(tmp_path)
