"""What a step of the second objective learns from."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pinrank.search_embedding.pairs import PAIRS, without_answers
from pinrank.student.hashed import HashedWords
from pinrank.student.retrieval import EngagedPairs
from pinrank.student.settings import RetrievalSettings, StudentSettings
from pinrank.text import TextSettings, pin_text


@pytest.fixture
def engaged(tmp_path: Path) -> Path:
    """Nine pairs that their weights tell apart; the last three are held out."""
    rows = [{"query": f"q{n}", "pin": f"p{n}", "weight": n, "held_out": n > 5} for n in range(9)]
    pq.write_table(pa.Table.from_pylist(rows, PAIRS), tmp_path / "pairs.parquet")
    return tmp_path / "pairs.parquet"


def weights(engaged: Path, steps: range, rank: int = 0, num_ranks: int = 1) -> list[float]:
    """The pairs of some steps, by their weights."""
    settings = StudentSettings(retrieval=RetrievalSettings(weight=1.0, batch_size=2))
    pairs = EngagedPairs(engaged, settings, HashedWords(50), rank, num_ranks)
    return [weight for step in steps for weight in pairs.batch_at(step).weight_B.tolist()]


def test_every_pair_that_is_not_held_out_comes_once_a_round_in_another_order(engaged: Path):
    rounds = [weights(engaged, range(start, start + 3)) for start in range(0, 30, 3)]
    assert {tuple(sorted(found)) for found in rounds} == {(0, 1, 2, 3, 4, 5)}
    assert len({tuple(found) for found in rounds}) > 1


def test_a_step_finds_its_pairs_again_after_a_kill(engaged: Path):
    assert weights(engaged, range(7, 12)) == weights(engaged, range(12))[14:]


def test_workers_take_different_pairs(engaged: Path):
    one, other = (set(weights(engaged, range(1), rank, 2)) for rank in (0, 1))
    assert not one & other


def test_a_pin_does_not_say_the_queries_that_are_learnt():
    row = {"title": "red sofa", "query_tokens": "couch"}
    assert "couch" in pin_text(row, TextSettings())
    assert "couch" not in pin_text(row, without_answers(TextSettings()))


def test_frozen_towers_have_no_second_objective():
    with pytest.raises(ValidationError, match="for towers that learn"):
        StudentSettings(frozen_towers=True, retrieval=RetrievalSettings(weight=0.5))
