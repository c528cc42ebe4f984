"""Pairs that an engine cannot grade are found and left out; the others are graded as if they had never been there."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinrank.errors import ModelError, ParityError
from pinrank.labeling.poison import DIED, MOST_POISON, Gate, Tries, grade_without_poison
from pinrank.teacher.engine import EngineDead, Logits
from pinrank.teacher.tokens import Prompt

PROMPTS = [Prompt([number], 1) for number in range(100)]


class Died(BaseException):
    """The end of a process: nothing catches it, and nothing runs after it."""


class Picky:
    """An engine that grades a prompt by its token, raises on some and dies of others; `calls` are the rows it met."""

    def __init__(self, raises: Sequence[int] = (), dies: Sequence[int] = (), most: int = 1000) -> None:
        self.raises, self.dies, self.most = set(raises), set(dies), most
        self.calls: list[list[int]] = []

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        rows = [prompt.token_ids[0] for prompt in prompts]
        self.calls.append(rows)
        if self.dies & set(rows):
            raise Died
        if self.raises & set(rows):
            raise RuntimeError("no such token")
        if len(rows) > self.most:
            raise MemoryError("too many")
        return np.repeat(np.asarray(rows, np.float32)[:, None], 5, axis=1)


def grade_until_it_lives(engine: Picky, output: Path, prompts: Sequence[Prompt] = PROMPTS) -> tuple[Logits, dict, int]:
    """Grade as workers do that take over from those that died; also says how many died."""
    for deaths in range(100):
        tries = Tries.of(output, "0")
        try:
            graded = grade_without_poison(engine.grade, prompts, tries)
        except (Died, EngineDead):
            continue
        tries.forget()
        return graded.logits_NL, graded.refused, deaths
    raise AssertionError("it never ends")


def test_a_shard_without_poison_is_graded_in_one_call(tmp_path: Path) -> None:
    engine = Picky()
    logits_NL, refused, deaths = grade_until_it_lives(engine, tmp_path)
    assert (len(engine.calls), refused, deaths) == (1, {}, 0)
    np.testing.assert_array_equal(logits_NL[:, 0], range(100))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(poison=st.sets(st.integers(0, 99), min_size=1, max_size=5))
def test_poison_is_left_out_and_the_rest_graded_in_one_call(tmp_path: Path, poison: set[int]) -> None:
    engine = Picky(raises=sorted(poison))
    logits_NL, refused, _ = grade_until_it_lives(engine, tmp_path)
    assert refused == dict.fromkeys(sorted(poison), "makes the engine fail (RuntimeError: no such token)")
    assert engine.calls[-1] == [row for row in range(100) if row not in poison]
    assert np.isnan(logits_NL[sorted(poison)]).all()
    np.testing.assert_array_equal(logits_NL[engine.calls[-1], 0], engine.calls[-1])


def test_a_pair_that_ends_the_process_is_found_too(tmp_path: Path) -> None:
    engine = Picky(dies=[37], raises=[90])
    logits_NL, refused, deaths = grade_until_it_lives(engine, tmp_path)
    assert refused == {37: DIED, 90: "makes the engine fail (RuntimeError: no such token)"}
    assert deaths <= 12
    assert np.isfinite(logits_NL[[row for row in range(100) if row not in refused]]).all()
    assert not list(tmp_path.iterdir())


def test_one_death_alone_casts_no_suspicion(tmp_path: Path) -> None:
    tries = Tries.of(tmp_path, "0")
    tries.begin(range(100))
    engine = Picky()
    grade_without_poison(engine.grade, PROMPTS, Tries.of(tmp_path, "0"))
    assert len(engine.calls) == 1


def test_a_suspected_shard_is_graded_while_no_other_is(tmp_path: Path) -> None:
    gate, inside, met = Gate(), [], []

    def enter(number: int) -> None:
        tries = Tries.of(tmp_path, str(number))
        if number % 5 == 0:
            tries.begun["0-9-10"] = 1
        with gate.entered(tries):
            inside.append(number)
            time.sleep(0.002)
            met.append((number, list(inside)))
            inside.remove(number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(enter, range(40)))
    assert len(met) == 40
    assert all(others == [number] for number, others in met if number % 5 == 0)
    assert max(len(others) for _, others in met) > 1


def test_an_engine_that_fails_on_everything_is_at_fault_itself(tmp_path: Path) -> None:
    engine = Picky(raises=range(100))
    with pytest.raises(EngineDead):
        grade_without_poison(engine.grade, PROMPTS, Tries.of(tmp_path, "0"))
    with pytest.raises(ModelError, match=f"more than {MOST_POISON} pairs of one shard, so it is at fault"):
        grade_until_it_lives(engine, tmp_path)


def test_pairs_that_fail_only_together_end_the_job(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"fails on 100 pairs together, though on none of them alone.*batch_size"):
        grade_until_it_lives(Picky(most=60), tmp_path)


def test_an_error_for_people_is_no_poison(tmp_path: Path) -> None:
    def grade(prompts: Sequence[Prompt]) -> Logits:
        raise ParityError("the head is missing")

    with pytest.raises(ParityError, match="the head is missing"):
        grade_without_poison(grade, PROMPTS, Tries.of(tmp_path, "0"))


def test_nothing_to_grade_calls_no_engine(tmp_path: Path) -> None:
    engine = Picky()
    assert grade_without_poison(engine.grade, [], Tries.of(tmp_path, "0")).logits_NL.shape == (0, 5)
    assert engine.calls == []
