"""Training throughput of the student: through Ray Train beside the same steps in plain PyTorch, and of its MLP alone.

    python -m benchmarks.student_training

The floor is the bare loop: forward, loss, backward, clip, AdamW on batches that lie ready in memory, in a process
without Ray but with the same settings of threads and memory. The product's worker reads the same batches from prepared
parts. Both train MiniLM on the pairs of a generated world, one after the other, ROUNDS times. Ratio vs_plain_loop:
pairs/s through Ray Train over pairs/s of the bare loop, the median over rounds; 1 is the floor. vs_plain_loop_cpu: the
same of pairs per second of the process's CPU time, which other work on the machine changes less. mlp_samples_per_s:
pairs/s through Ray Train on two threads when towers are frozen and the MLP alone learns, the best round;
mlp_samples_per_cpu_s: the same of CPU time.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import print_result
from pinrank import lexical
from pinrank.cluster import KEPT_MEMORY, QUIET_THREADS, ClusterSettings, connect
from pinrank.datasets.world import WorldSettings, generate
from pinrank.engagement.pin_text import pin_text
from pinrank.engagement.settings import EngagementSettings
from pinrank.precision import autocast
from pinrank.student.batches import Batch
from pinrank.student.declaration import read_declaration
from pinrank.student.examples import human_examples, shuffled
from pinrank.student.fit import fit
from pinrank.student.losses import loss_of
from pinrank.student.prepare import Job, write_inputs
from pinrank.student.run import TrainingRun
from pinrank.student.settings import StudentSettings
from pinrank.student.train import LEARNING, prepare_all
from pinrank.unseen import NOTHING

ROUNDS = 3
SETTINGS = StudentSettings(backbone_dropout=0.0, epochs=1, num_workers=0)
MLP_SETTINGS = SETTINGS.model_copy(update={"frozen_towers": True, "batch_size": 2048})
WARMUP_STEPS, STEPS = 8, 40
MLP_WARMUP_STEPS, MLP_STEPS = 20, 200


def main() -> None:
    """Measure in turn and print."""
    rates: dict[str, list[dict[str, float]]] = {"plain": [], "ray": [], "mlp": []}
    with tempfile.TemporaryDirectory() as folder:
        in_a_process("prepare", folder)
        for _ in range(ROUNDS):
            for kind, found in rates.items():
                found.append(in_a_process(kind, folder))
    ratios, of_cpu = (
        [ray[clock] / plain[clock] for ray, plain in zip(rates["ray"], rates["plain"], strict=True)]
        for clock in ("wall", "cpu")
    )
    print_result(
        "student_training",
        {
            "vs_plain_loop": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
            "vs_plain_loop_cpu": statistics.median(of_cpu),
            "mlp_samples_per_s": max(rate["wall"] for rate in rates["mlp"]),
            "mlp_samples_per_cpu_s": max(rate["cpu"] for rate in rates["mlp"]),
        },
        ROUNDS,
    )


def in_a_process(kind: str, folder: str) -> Any:
    """What a process of its own prints last."""
    command = [sys.executable, "-m", "benchmarks.student_training", kind, folder]
    same = os.environ | QUIET_THREADS | KEPT_MEMORY
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=same)
    return json.loads(done.stdout.splitlines()[-1])


def prepare(folder: Path) -> None:
    """The judged pairs of a generated world as a run with towers that learn and one whose towers do not."""
    world = generate(WorldSettings(num_pins=2_000, num_queries=500, num_impressions=0))
    texts = pin_text(world.pins, None, NOTHING, EngagementSettings())
    examples = human_examples(world.judgments, texts, 1.0)
    stats = lexical.fit(lexical.field_terms(texts.select(list(lexical.READ)).to_pylist()))
    spec = fit(read_declaration(), shuffled(examples, seed=0), stats)
    for name, settings in {"towers": SETTINGS, "mlp": MLP_SETTINGS}.items():
        work = folder / name
        work.mkdir()
        write_inputs(work, texts, {LEARNING: examples}, stats, spec)
        done = prepare_all({LEARNING: examples}, Job(work, settings), None)
        steps = WARMUP_STEPS + STEPS if name == "towers" else MLP_WARMUP_STEPS + MLP_STEPS
        parts = [each.part for each in done.values()]
        repeats = 1 + steps * settings.batch_size // sum(part.num_rows for part in parts)
        run = TrainingRun(
            name=name, settings=settings, learning=tuple(parts * repeats), dev=(), folder=work, lineage={}
        )
        (work / "run.json").write_text(run.model_dump_json())


def plain_rate(run: TrainingRun) -> dict[str, float]:
    """Pairs/s of the bare loop in this process."""
    from pinrank.student.batches import collate
    from pinrank.student.features import FeatureSpec
    from pinrank.student.loop import optimizer_of
    from pinrank.student.model import build_student
    from pinrank.student.parts import Order, Parts
    from pinrank.student.prepare import INPUTS

    torch.set_num_threads(SETTINGS.threads_per_worker)
    device = torch.device("cpu")
    torch.manual_seed(SETTINGS.seed)
    student = build_student(SETTINGS, FeatureSpec.open(run.folder / INPUTS), "eager").train()
    optimizer = optimizer_of(student, SETTINGS)
    order = Order(SETTINGS.batch_size, SETTINGS.seed)
    rows = islice(Parts(run.learning).batches(order), WARMUP_STEPS + STEPS)
    batches = [collate(each, 0) for each in rows]

    def step(batch: Batch) -> None:
        with autocast(SETTINGS.precision, device):
            logits_NL = student(*batch.inputs(device))
        loss_of(logits_NL, *batch.targets(device)).backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), SETTINGS.largest_gradient)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return timed(step, batches, WARMUP_STEPS, STEPS)


def ray_rate(run: TrainingRun) -> Any:
    """Pairs/s of the product's own worker under Ray Train, with its session around it."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    connect(ClusterSettings(num_cpus=2))
    TorchTrainer(
        timed_worker,
        train_loop_config=run.model_dump(mode="json"),
        scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": SETTINGS.cpus_per_worker}),
        run_config=RunConfig(
            name=f"rate-{time.time_ns()}", storage_path=str(run.folder), worker_runtime_env={"env_vars": KEPT_MEMORY}
        ),
    ).fit()
    return json.loads((run.folder / "rate.json").read_text())


def timed_worker(config: dict[str, Any]) -> None:
    """The first steps of an epoch of the product's Worker, timed after the warm-up."""
    from pinrank.student.loop import Worker

    worker = Worker(TrainingRun.model_validate(config))
    worker.parallel.train()
    warmup, steps = (MLP_WARMUP_STEPS, MLP_STEPS) if worker.settings.frozen_towers else (WARMUP_STEPS, STEPS)

    def step(batch: Batch) -> None:
        worker.descend(batch)
        worker.progress.step += 1

    rate = timed(step, worker.batches(0, 0), warmup, steps)
    (worker.run.folder / "rate.json").write_text(json.dumps(rate))


def timed(step: Callable[[Batch], None], batches: Iterable[Batch], warmup: int, steps: int) -> dict[str, float]:
    """Pairs per second of wall clock and of CPU time, over the steps after the warm-up."""
    pairs = 0
    started = cpu_started = 0.0
    for number, batch in enumerate(batches):
        if number == warmup:
            started, cpu_started, pairs = time.perf_counter(), time.process_time(), 0
        if number == warmup + steps:
            break
        step(batch)
        pairs += len(batch)
    return {"wall": pairs / (time.perf_counter() - started), "cpu": pairs / (time.process_time() - cpu_started)}


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        kind, folder = sys.argv[1], Path(sys.argv[2])
        if kind == "prepare":
            prepare(folder)
            print("null")
        else:
            work = folder / ("mlp" if kind == "mlp" else "towers")
            run = TrainingRun.model_validate_json((work / "run.json").read_text())
            print(json.dumps(plain_rate(run) if kind == "plain" else ray_rate(run)))
