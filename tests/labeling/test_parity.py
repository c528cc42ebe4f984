"""The engine of a job is compared with the reference on pairs of the job."""

from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.errors import ParityError
from pinrank.labeling.parity import ParitySettings, needs_probe, pairs_to_grade, probe_of, refuse_other_grades
from pinrank.shard_work import Work
from pinrank.teacher.score import EngineSettings, open_engine
from tests.labeling.rows import pin_texts, sampled, work_rows, write

PINS = {f"p{number}": f"red title {number}" for number in range(9)}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """36 pairs in 18 shards."""
    return write(tmp_path, work_rows(sampled(*((f"q{n}", pin) for n in range(4) for pin in PINS)), pin_texts(**PINS)))


def test_the_probe_lies_evenly_through_the_work(work: Work) -> None:
    pairs = pairs_to_grade(work, 16)
    assert len(pairs) == len(set(pairs)) == 16
    assert {query for query, _ in pairs} == {"q0", "q1", "q2", "q3"}
    assert len(pairs_to_grade(work, 36)) == len(pairs_to_grade(work, 1_000)) == 36


def test_what_is_not_known_is_found_wherever_it_lies(tmp_path: Path) -> None:
    rows = work_rows(sampled(*((f"q{n}", pin) for n in range(4) for pin in PINS)), pin_texts(**PINS))
    logits = [None if number == 2 else [0.0] * 5 for number in range(rows.num_rows)]
    place = rows.column_names.index("logits")
    work = write(tmp_path, rows.set_column(place, "logits", pa.array(logits, rows.schema.field("logits").type)))
    assert pairs_to_grade(work, 4) == [(rows["query"][2].as_py(), rows["pin_text"][2].as_py())]
    known = pa.array([[0.0] * 5] * rows.num_rows, rows.schema.field("logits").type)
    (tmp_path / "all").mkdir()
    assert pairs_to_grade(write(tmp_path / "all", rows.set_column(place, "logits", known)), 4) == []


def test_an_engine_within_the_tolerance_may_grade(work: Work, tiny_teacher_dir: Path) -> None:
    probe = probe_of(str(tiny_teacher_dir), pairs_to_grade(work, 8), "bfloat16", ParitySettings())
    assert probe.tolerance == 0.1
    engine = open_engine(str(tiny_teacher_dir), EngineSettings(name="transformers", dtype="bfloat16"))
    refuse_other_grades(engine, "transformers bfloat16", probe)


def test_an_engine_beyond_the_tolerance_is_refused_with_the_numbers(work: Work, tiny_teacher_dir: Path) -> None:
    settings = ParitySettings(pairs=8, tolerance=1e-9)
    probe = probe_of(str(tiny_teacher_dir), pairs_to_grade(work, 8), "bfloat16", settings)
    engine = open_engine(str(tiny_teacher_dir), EngineSettings(name="transformers", dtype="bfloat16"))
    with pytest.raises(
        ParityError,
        match=r"bfloat16 differs from transformers float32 by [\d.e-]+ in a probability .*8 of 8 pairs.*1e-09",
    ):
        refuse_other_grades(engine, "transformers bfloat16", probe)


@pytest.mark.parametrize(
    ("kind", "engine", "pairs", "needed"),
    [
        ("cross_encoder", {"name": "vllm"}, 32, True),
        ("cross_encoder", {"name": "transformers", "dtype": "bfloat16"}, 32, True),
        ("cross_encoder", {"name": "transformers"}, 32, False),
        ("cross_encoder", {"name": "vllm"}, 0, False),
        ("judge", {"name": "vllm"}, 32, False),
    ],
)
def test_the_reference_is_not_compared_with_itself(kind: str, engine: dict[str, str], pairs: int, needed: bool) -> None:
    assert needs_probe(kind, EngineSettings(**engine), ParitySettings(pairs=pairs)) == needed
