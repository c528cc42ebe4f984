"""What the student keeps of its teacher, and at which part of its cost.

    python -m benchmarks.student_vs_teacher --run runs/full      # a run's folder, with tables, teacher and student
    python -m benchmarks.student_vs_teacher                      # runs/demo; the demo is run first where there is none

ndcg20_kept, accuracy_kept    the student's figure over the teacher's, over all judged pairs of test
teacher_cost_over_student     CPU seconds that a pair costs the teacher over those that it costs the student, on the
                              same CORES cores. The teacher grades judged pairs of test in batches, on all of them.
                              The student ranks CANDIDATES pins of a pin store for one query after the other, in one
                              thread, as a replica of the service does: it encodes the query, looks up vectors and
                              terms, and computes features and MLP
teacher_cost_over_onnx        the same with queries encoded by the ONNX form that the student's bundle holds, int8
                              before fp32; left out where it holds none (train_student --onnx)
teacher_wall_over_student     the first in wall time, which other work on the machine changes more; a second replica on
                              the second core would double it

Both grade in turn, ROUNDS times; costs are medians over the rounds. The goals are 0.97, 0.95 and 200.
"""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.record import print_result
from pinrank import lexical, tables
from pinrank.cluster import QUIET_THREADS
from pinrank.embeddings import store
from pinrank.embeddings.store import PinStore
from pinrank.evaluation.report import measure
from pinrank.evaluation.systems import Systems, grade_student, grade_teacher
from pinrank.evaluation.task import Task, from_tables
from pinrank.student.export import StudentBundle, open_student
from pinrank.student.onnx import Format, OnnxEncoder, file_of
from pinrank.student.tower_folder import ENCODER
from pinrank.teacher.card import read_card
from pinrank.teacher.score import EngineSettings, open_engine, open_tokenizer
from pinrank.text import packed
from serve_apps.rerank.candidates import Candidates
from serve_apps.rerank.grading import grade

log = logging.getLogger(__name__)

ROUNDS = 5
CORES = 2
CANDIDATES = 500
QUERIES = 20
"""That the student answers in a round, one after the other."""
TEACHER_PAIRS = 256
"""That the teacher grades in a round."""
STORED_PINS = 5_000


@dataclass(frozen=True)
class Cost:
    """Seconds a pair."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure quality once and cost in turn, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, default=Path("runs/demo"), help="folder with tables, teacher and student")
    parser.add_argument("--engine", default="transformers", choices=("transformers", "vllm"), help="the teacher's")
    parser.add_argument("--max-pairs-per-source", type=int, default=None, help="cap on test pairs; none: all")
    given = parser.parse_args()
    with_quiet_threads()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    if not (given.run / "student/card.json").exists():
        subprocess.run([sys.executable, "-m", "pipelines.demo"], check=True, stdout=sys.stderr)
    task = read_task(given.run, given.max_pairs_per_source)
    engine = EngineSettings(name=given.engine)
    print_result("student_vs_teacher", {**kept(given.run, task, engine), **costs(given.run, task, engine)}, ROUNDS)


def with_quiet_threads() -> None:
    """Begin again with threads that sleep while they wait, as every job has them: spinning would count as CPU time.

    numpy, in which the student ranks, has one thread, as in a replica of the service.
    """
    wanted = QUIET_THREADS | {"OPENBLAS_NUM_THREADS": "1"}
    if not wanted.items() <= os.environ.items():
        again = [sys.executable, "-m", "benchmarks.student_vs_teacher", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | wanted)


def read_task(run: Path, max_per_source: int | None) -> Task:
    """The judged pairs of test, and all pins."""
    judgments = tables.read(f"{run}/tables/judgments", tables.JUDGMENTS)
    pins = tables.read(f"{run}/tables/pin_text", tables.PIN_TEXT).to_pylist()
    return from_tables(judgments, pins, "test", max_per_source)


def kept(run: Path, task: Task, engine: EngineSettings) -> dict[str, float]:
    """ndcg20_kept and accuracy_kept."""
    systems = Systems()
    grade_teacher(task, str(run / "teacher"), engine, systems)
    grade_student(task, str(run / "student"), systems, f"{run}/tables")
    no_resamples = np.zeros((0, task.judged.num_queries))
    found = {name: measure(task.judged, graded, no_resamples) for name, graded in systems.graded.items()}
    return {
        name: found["student"][metric].value / found["teacher"][metric].value
        for name, metric in (("ndcg20_kept", "ndcg_at_20"), ("accuracy_kept", "accuracy"))
    }


def costs(run: Path, task: Task, engine: EngineSettings) -> dict[str, float]:
    """teacher_cost_over_student, teacher_cost_over_onnx and teacher_wall_over_student."""
    student = open_student(run / "student")
    teacher = teachers_work(str(run / "teacher"), task, engine)
    with tempfile.TemporaryDirectory() as folder:
        pins = stored_pins(student, task, Path(folder))
        work = {"student": students_work(student, task, pins)}
        if tower := onnx_tower(student):
            work["onnx"] = students_work(student.with_encoders(tower, student.pin_encoder), task, pins)
        turns = [turn(teacher, work) for _ in range(ROUNDS + 1)][1:]  # the first warms up
    for theirs, ours in turns:
        said = ", ".join(f"{name} {cost.cpu_s * 1e3:.4f}" for name, cost in ours.items())
        log.info("CPU ms a pair: teacher %.3f, %s", theirs.cpu_s * 1e3, said)
    cpu = {f"teacher_cost_over_{name}": [theirs.cpu_s / ours[name].cpu_s for theirs, ours in turns] for name in work}
    wall = {"teacher_wall_over_student": [theirs.wall_s / ours["student"].wall_s for theirs, ours in turns]}
    return {name: statistics.median(values) for name, values in (cpu | wall).items()}


def turn(teacher: Callable[[], object], students: Mapping[str, Callable[[], object]]) -> tuple[Cost, dict[str, Cost]]:
    """What a pair costs the teacher, and each way of ranking."""
    theirs = timed(teacher, TEACHER_PAIRS, CORES)
    return theirs, {name: timed(work, QUERIES * CANDIDATES, 1) for name, work in students.items()}


def onnx_tower(student: StudentBundle) -> OnnxEncoder | None:
    """The cheapest ONNX form of the query tower that the bundle holds, in one thread."""
    forms: tuple[Format, ...] = ("int8", "fp32")
    files = [path for form in forms if (path := file_of(student.folder, form)).exists()]
    return OnnxEncoder.open(files[0], student.folder / ENCODER, num_threads=1) if files else None


def teachers_work(folder: str, task: Task, engine: EngineSettings) -> Callable[[], object]:
    """Grading the first pairs of test, text to logits."""
    opened, tokenizer, card = open_engine(folder, engine), open_tokenizer(folder), read_card(folder)
    texts = [(query, packed(pin, card.text)) for query, pin in task.pairs[:TEACHER_PAIRS]]
    texts = [texts[number % len(texts)] for number in range(TEACHER_PAIRS)]
    return lambda: opened.grade(tokenizer.prompts(texts))


def stored_pins(student: StudentBundle, task: Task, folder: Path) -> PinStore:
    """A pin store of STORED_PINS pins."""
    pins = task.catalogue[:STORED_PINS]
    rows_PR = student.pin_rows(student.encode_pins(student.pin_texts(pins)))
    store.build(folder / "pins", [pin["pin_id"] for pin in pins], rows_PR, lexical.field_terms(pins), student.version)
    return PinStore.open(folder / "pins")


def students_work(student: StudentBundle, task: Task, pins: PinStore) -> Callable[[], object]:
    """Ranking CANDIDATES pins of a store for each of QUERIES queries, text to probabilities."""
    pin_ids = [pin["pin_id"] for pin in task.catalogue[:STORED_PINS]]
    random = np.random.default_rng(0)
    queries = sorted({query for query, _ in task.pairs})
    asked = [queries[place] for place in random.integers(0, len(queries), QUERIES)]
    shown = [[pin_ids[place] for place in random.integers(0, len(pin_ids), CANDIDATES)] for _ in asked]

    def work() -> None:
        for query, wanted in zip(asked, shown, strict=True):
            rank(student, pins, query, wanted)

    return work


def rank(student: StudentBundle, pins: PinStore, query: str, pin_ids: Sequence[str]) -> np.ndarray:
    """probabilities_NL of one query's candidates."""
    query_D = student.encode_queries([query])[0]
    rows = pins.gather(pin_ids)
    return grade(student, query, query_D, Candidates(rows.rows_NR, pins.terms(pin_ids), rows.found_N))


def timed(work: Callable[[], object], num_pairs: int, num_threads: int) -> Cost:
    """What a pair costs."""
    import torch

    torch.set_num_threads(num_threads)
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost((time.perf_counter() - started) / num_pairs, (time.process_time() - cpu) / num_pairs)


if __name__ == "__main__":
    main()
