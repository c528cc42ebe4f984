"""Training throughput of the teacher through Ray Train beside the same steps in plain PyTorch.

    python -m benchmarks.teacher_training

The floor is the bare loop: forward, loss, backward, clip, AdamW on ready batches, in a process without Ray but with the
same settings of threads and memory. Both train MiniLM on the same generated pairs in the same batches, one after the
other, ROUNDS times. Ratio vs_plain_loop: pairs/s through Ray Train over pairs/s of the bare loop, the median over
rounds; 1 is the floor.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from benchmarks.record import print_result
from pinrank.backbones import resolve
from pinrank.cluster import KEPT_MEMORY, QUIET_THREADS, ClusterSettings, connect
from pinrank.datasets.world import WorldSettings, generate
from pinrank.engagement.pin_text import pin_text
from pinrank.engagement.settings import EngagementSettings
from pinrank.precision import autocast
from pinrank.teacher.batches import length_grouped
from pinrank.teacher.examples import EXAMPLES, judged_examples, tokenised
from pinrank.teacher.families import uses_token_types
from pinrank.teacher.lora import open_trainable
from pinrank.teacher.losses import loss_of
from pinrank.teacher.model import Teacher
from pinrank.teacher.optimisation import optimizer_of
from pinrank.teacher.settings import TeacherSettings
from pinrank.teacher.tokens import PairTokenizer, padded
from pinrank.unseen import NOTHING

ROUNDS = 3
WARMUP_STEPS = 8
STEPS = 40
SETTINGS = TeacherSettings(batch_size=32, backbone_dropout=0.0, epochs=1)
ROWS = (WARMUP_STEPS + STEPS) * SETTINGS.batch_size


def main() -> None:
    """Measure in turn and print."""
    with tempfile.TemporaryDirectory() as folder:
        rates: dict[str, list[float]] = {"plain": [], "ray": []}
        for _ in range(ROUNDS):
            for kind, found in rates.items():
                command = [sys.executable, "-m", "benchmarks.teacher_training", kind, folder]
                same = os.environ | QUIET_THREADS | KEPT_MEMORY
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=same)
                found.append(json.loads(done.stdout.splitlines()[-1]))
                print(json.dumps({"part": kind, "pairs_per_s": found[-1]}), file=sys.stderr, flush=True)
    ratios = [ray / plain for ray, plain in zip(rates["ray"], rates["plain"], strict=True)]
    print_result(
        "teacher_training",
        {"vs_plain_loop": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)},
        ROUNDS,
    )


def pairs() -> pa.Table:
    """ROWS judged pairs of a generated world."""
    world = generate(WorldSettings(num_pins=2_000, num_queries=500, num_impressions=0))
    texts = pin_text(world.pins, None, NOTHING, EngagementSettings())
    examples = judged_examples(world.judgments, texts, SETTINGS.text).to_pylist()
    learning = [row for row in examples if row["split"] == "train"]
    rows = (learning * (ROWS // len(learning) + 1))[:ROWS]
    return pa.Table.from_pylist([*rows, *(row for row in examples if row["split"] == "dev")], schema=EXAMPLES)


def plain_rate() -> float:
    """Pairs/s of the bare loop in this process."""
    torch.set_num_threads(SETTINGS.cpus_per_worker)
    device = torch.device("cpu")
    tokenizer = PairTokenizer.open(resolve(SETTINGS.backbone), SETTINGS.text)
    learning = tokenised(pairs(), "train", tokenizer, SETTINGS.targets)
    torch.manual_seed(SETTINGS.seed)
    teacher = Teacher(open_trainable(SETTINGS, device), "first", SETTINGS.head).train()
    uses_types = uses_token_types(teacher.backbone.config)
    optimizer = optimizer_of(teacher, SETTINGS)
    started = 0.0
    for step, rows in enumerate(length_grouped(learning.lengths(), SETTINGS.batch_size, seed=0)):
        if step == WARMUP_STEPS:
            started = time.perf_counter()
        batch = padded([learning.prompts[row] for row in rows], tokenizer.pad_id, uses_types)
        with autocast(SETTINGS.precision, device):
            logits_NL = teacher(**batch)
        targets_NL = torch.as_tensor(learning.targets_NL[rows], dtype=torch.float32)
        loss = loss_of(SETTINGS.loss, logits_NL, targets_NL)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(teacher.parameters(), SETTINGS.largest_gradient)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return STEPS * SETTINGS.batch_size / (time.perf_counter() - started)


def ray_rate(folder: str) -> float:
    """Pairs/s of the product's own worker under Ray Train, with its session around it."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    connect(ClusterSettings(num_cpus=2))
    result = Path(folder) / "rate.json"
    TorchTrainer(
        timed_worker,
        train_loop_config={"result": str(result), "work": folder},
        scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": SETTINGS.cpus_per_worker}),
        run_config=RunConfig(name=f"rate-{time.time_ns()}", storage_path=folder),
    ).fit()
    return float(json.loads(result.read_text()))


def timed_worker(config: dict[str, Any]) -> None:
    """The steps of one epoch of the product's Worker, timed after the warm-up."""
    from pinrank.teacher.loop import Worker

    worker = Worker(SETTINGS, "first", pairs(), Path(config["work"]))
    worker.parallel.train()
    steps: list[list[np.ndarray]] = list(worker.steps_of(0))
    for micro_batches in islice(steps, WARMUP_STEPS):
        worker.descend(micro_batches)
    started = time.perf_counter()
    for micro_batches in islice(steps, WARMUP_STEPS, None):
        worker.descend(micro_batches)
        worker.progress.step += 1
    rate = STEPS * SETTINGS.batch_size / (time.perf_counter() - started)
    Path(config["result"]).write_text(json.dumps(rate))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        kind, folder = sys.argv[1:]
        print(json.dumps(plain_rate() if kind == "plain" else ray_rate(folder)))
