"""The labelling job beside the bare engines, and what the job itself costs.

    python -m benchmarks.label_throughput               # all, in about half an hour on two quiet cores
    python -m benchmarks.label_throughput --only vllm   # one part: vllm, transformers, noop, resume or memory
    python -m benchmarks.label_throughput --scale 0.01  # a hundredth of the pairs: whether it runs, no figures

vllm, transformers    pairs/s through Ray Data at steady state over those of the bare engine on the same tokenised pairs
                      and cores; 1 is the floor. Steady state: from the first committed shard to the last.
noop_us_per_row       what the job adds to a pair: wall time of a long job less that of a short one, by the pairs
                      between, with an engine and a tokenizer that do nothing. Their difference must be many shards, or
                      it is that of two starts: these sizes have a floor of LEAST_NOOP_ROWS
noop_cpu_us_per_row   the same with the CPU time of all processes of the job, which other work changes less
resume_wall           a job that is killed at half and run again, over an uninterrupted one and one more start
memory_10m_vs_100k    largest memory of the job's processes at ten million pairs over that at a hundred thousand, with
                      the same engine and tokenizer

Bare engine and job take turns, ROUNDS times; ratios are medians over the rounds.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.record import print_result
from pinrank import tables
from pinrank.levels import NUM_LEVELS
from pinrank.stages import memory_of
from pinrank.teacher.engine import EngineSettings, Logits
from pinrank.teacher.tokens import Prompt
from pinrank.text import FIELDS, fingerprint, pair_key

ROUNDS = 3
CPUS = 2
ENGINES = ("vllm", "transformers")
ROWS_PER_SHARD = 512
NOOP_ROWS_PER_SHARD = 4096
ENGINE_ROWS = 6 * 1024
NOOP_ROWS = (200_000, 1_000_000)
LEAST_NOOP_ROWS = (100_000, 500_000)
MEMORY_ROWS = (100_000, 10_000_000)
RESUME_ROWS = 6 * 1024
WORDS = (
    "red",
    "blue",
    "old",
    "new",
    "small",
    "wooden",
    "summer",
    "garden",
    "kitchen",
    "wedding",
    "boots",
    "cake",
    "house",
)


class Words:
    """A tokenizer that does nothing."""

    def prompts(self, pairs: Sequence[tuple[str, str]]) -> list[Prompt]:
        """One token a pair."""
        return [Prompt([0], 1)] * len(pairs)


class Nothing:
    """An engine that does nothing."""

    def __init__(self, folder: str, settings: EngineSettings) -> None:
        from pinrank.teacher.card import read_card

        self.card = read_card(folder)

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        """Zeros."""
        return np.zeros((len(prompts), NUM_LEVELS), dtype=np.float32)


def words(folder: str) -> Words:
    """Open the tokenizer that does nothing."""
    return Words()


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0, help="share of the pairs")
    parser.add_argument("--only", nargs="+", choices=[*ENGINES, *PARTS], help="the parts to measure; default: all")
    asked = parser.parse_args()
    wanted = asked.only or [*ENGINES, *PARTS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        publish_teacher(folder / "teacher")
        ratios = engine_ratios(folder, asked.scale, [engine for engine in ENGINES if engine in wanted])
        for part, measure in PARTS.items():
            if part in wanted:
                ratios |= measure(folder, asked.scale)
    print_result("label_throughput", ratios, ROUNDS)


def engine_ratios(folder: Path, scale: float, engines: Sequence[str]) -> dict[str, float]:
    """vllm and transformers. Nothing samples the processes meanwhile: on two cores that would count."""
    write_tables(folder / "engine", scaled(ENGINE_ROWS, scale))
    ratios: dict[str, list[float]] = {engine: [] for engine in engines}
    for number in range(ROUNDS):
        for engine, found in ratios.items():
            bare = alone("bare", folder, "engine", engine)["rate"]
            through = alone("job", folder, "engine", engine, f"{engine}-{number}", str(ROWS_PER_SHARD))["rate"]
            found.append(through / bare)
    return {engine: statistics.median(found) for engine, found in ratios.items()}


def noop_ratio(folder: Path, scale: float) -> dict[str, float]:
    """Microseconds of wall and CPU time that a pair costs without engine and tokenizer."""
    rows = [max(scaled(number, scale), least) for number, least in zip(NOOP_ROWS, LEAST_NOOP_ROWS, strict=True)]
    for number in rows:
        write_tables(folder / f"noop-{number}", number)
    found: dict[str, list[float]] = {"wall_s": [], "cpu_s": []}
    for turn in range(ROUNDS):
        short, long = (
            in_a_process("job", folder, f"noop-{number}", "noop", f"noop-{number}-{turn}", str(NOOP_ROWS_PER_SHARD))
            for number in rows
        )
        for name, slopes in found.items():
            slopes.append(1e6 * (long[name] - short[name]) / (rows[1] - rows[0]))
    wall_us, cpu_us = (statistics.median(slopes) for slopes in found.values())
    return {"noop_us_per_row": wall_us, "noop_cpu_us_per_row": cpu_us}


def resume_ratio(folder: Path, scale: float) -> dict[str, float]:
    """Wall time with a kill at half over wall time without, to which a start is added: from process to first shard."""
    write_tables(folder / "resume", scaled(RESUME_ROWS, scale))
    arguments = ("resume", "transformers")
    found = []
    for turn in range(ROUNDS):
        whole = in_a_process("job", folder, *arguments, f"whole-{turn}", str(ROWS_PER_SHARD // 4))
        half = whole["shards"] // 2
        before_s = killed_after(half, folder, *arguments, f"killed-{turn}", str(ROWS_PER_SHARD // 4))
        after_s = in_a_process("job", folder, *arguments, f"killed-{turn}", str(ROWS_PER_SHARD // 4))["process_s"]
        found.append((before_s + after_s) / (whole["process_s"] + whole["start_s"]))
    return {"resume_wall": statistics.median(found)}


def memory_ratio(folder: Path, scale: float) -> dict[str, float]:
    """Largest memory at many pairs over that at few."""
    peaks = []
    for number in MEMORY_ROWS:
        rows = scaled(number, scale)
        write_tables(folder / f"memory-{number}", rows)
        arguments = ("job", folder, f"memory-{number}", "noop", f"memory-{number}-out", str(NOOP_ROWS_PER_SHARD))
        peaks.append(in_a_process(*arguments)["peak_bytes"])
    print(json.dumps({"memory_bytes": peaks}), file=sys.stderr)
    return {"memory_10m_vs_100k": peaks[1] / peaks[0]}


def in_a_process(kind: str, *arguments: object) -> dict[str, Any]:
    """What a part of this file measured in a process of its own, with CPU time and largest memory of its processes."""
    begun = time.perf_counter()
    with (
        started(kind, *arguments) as process,
        memory_of(process.pid, every_s=0.5) as memory,
        cpu_of(process.pid) as cpu_s_of,
    ):
        output, _ = process.communicate()
    process_s = time.perf_counter() - begun
    costs = {"process_s": process_s, "peak_bytes": memory.peak_bytes, "cpu_s": round(sum(cpu_s_of.values()), 2)}
    return measured_by(process, output, costs, kind, *arguments)


def alone(kind: str, *arguments: object) -> dict[str, Any]:
    """What a part of this file measured in a process of its own, with nothing beside it."""
    with started(kind, *arguments) as process:
        output, _ = process.communicate()
    return measured_by(process, output, {}, kind, *arguments)


def measured_by(
    process: "subprocess.Popen[str]", output: str, costs: dict[str, float], kind: str, *arguments: object
) -> dict[str, Any]:
    """The last line of a process that has ended, and what it cost; RuntimeError when it ended badly."""
    if process.returncode:
        raise RuntimeError(f"{kind} {arguments} ended with exit code {process.returncode}")
    found: dict[str, Any] = json.loads(output.splitlines()[-1]) | costs
    print(json.dumps({"part": [kind, *map(str, arguments[1:])], **found}), file=sys.stderr, flush=True)
    return found


@contextmanager
def cpu_of(pid: int, every_s: float = 0.1) -> Iterator[dict[int, float]]:
    """CPU seconds of a process and each of its descendants, by process id, as they were last seen."""
    found: dict[int, float] = {}
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(every_s):
            with suppress(psutil.Error):
                root = psutil.Process(pid)
                for process in [root, *root.children(recursive=True)]:
                    with suppress(psutil.Error):
                        times = process.cpu_times()
                        found[process.pid] = times.user + times.system

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield found
    finally:
        ended.set()
        sampler.join()


def killed_after(shards: int, folder: Path, *arguments: str) -> float:
    """Seconds until a job had committed so many shards and was killed."""
    output = folder / arguments[2]
    begun = time.perf_counter()
    with started("job", folder, *arguments) as process:
        while len(list(output.glob("shard-*.parquet"))) < shards:
            time.sleep(0.01)
        family = psutil.Process(process.pid).children(recursive=True)
        for each in [psutil.Process(process.pid), *family]:
            if each.is_running():
                each.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=30)
    return time.perf_counter() - begun


def started(kind: str, *arguments: object) -> "subprocess.Popen[str]":
    """A part of this file as a process."""
    command = [sys.executable, "-m", "benchmarks.label_throughput", kind, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": str(CPUS), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def job(folder: str, name: str, engine: str, output: str, rows_per_shard: str) -> dict[str, float]:
    """The pipeline, in a session of its own."""
    from pinrank.cluster import ClusterSettings, connect
    from pinrank.labeling.job import TEACHER, Opening, WorkerSettings
    from pipelines.label_impressions import LabelImpressions
    from pipelines.label_impressions import main as label

    noop = engine == "noop"
    settings = LabelImpressions(
        tables=f"{folder}/{name}",
        teacher=Path(folder) / "teacher",
        output=Path(folder) / output,
        engine=engine_settings("transformers" if noop else engine),
        workers=WorkerSettings(engine_threads=CPUS),
        rows_per_shard=int(rows_per_shard),
        cluster=ClusterSettings(num_cpus=CPUS, dashboard=False),
    )
    begun = time.perf_counter()
    connect(settings.cluster)
    label(settings, Opening(Nothing, words) if noop else TEACHER)
    wall_s = time.perf_counter() - begun
    written = sorted(
        (path.stat().st_mtime, pq.read_metadata(path).num_rows) for path in settings.output.glob("shard-*")
    )
    rows = sum(number for _, number in written[1:])
    steady_s = written[-1][0] - written[0][0]
    return {
        "wall_s": wall_s,
        "start_s": written[0][0] - psutil.Process().create_time(),
        "shards": len(written),
        "rate": rows / steady_s if steady_s else float("nan"),
    }


def bare(folder: str, name: str, engine: str) -> dict[str, float]:
    """Pairs/s of an engine alone, in this process, on tokenised pairs in the order in which the job grades them."""
    from pinrank.labeling.shards import GRADED, joined, ordered, rendered, with_order_hash
    from pinrank.teacher.score import open_engine, open_tokenizer

    teacher = f"{folder}/teacher"
    opened = open_engine(teacher, engine_settings(engine))
    pairs = tables.read(f"{folder}/{name}/sampled_pairs", tables.SAMPLED_PAIRS)
    texts = tables.read(f"{folder}/{name}/pin_text", tables.PIN_TEXT)
    pins = rendered(texts, pairs.column("pin_id"), opened.card.text)
    rows = ordered(joined(with_order_hash(pairs, "query"), pins, GRADED.empty_table()), "query")
    told = list(zip(rows.column("query").to_pylist(), rows.column("pin_text").to_pylist(), strict=True))
    prompts = open_tokenizer(teacher).prompts(told)
    opened.grade(prompts[:128])
    begun = time.perf_counter()
    bare_grade(opened, engine, prompts)
    return {"rate": len(prompts) / (time.perf_counter() - begun)}


def engine_settings(name: str) -> EngineSettings:
    """The same for the bare engine and for the job."""
    return EngineSettings.model_validate({"name": name})


def bare_grade(opened: Any, engine: str, prompts: Sequence[Prompt]) -> None:
    """vLLM's own entry point with all prompts in one call, or the transformers engine's."""
    if engine == "transformers":
        opened.grade(prompts)
        return
    from vllm import TokensPrompt

    tokens = [TokensPrompt(prompt_token_ids=prompt.token_ids) for prompt in prompts]
    opened.stepper.model.embed(tokens, pooling_params=[opened.params(prompt) for prompt in prompts], use_tqdm=False)


def publish_teacher(folder: Path) -> None:
    """MiniLM with a head of random weights."""
    import torch

    from pinrank.backbones import resolve
    from pinrank.teacher.export import publish
    from pinrank.teacher.model import Teacher, open_backbone
    from pinrank.teacher.settings import HeadSettings
    from pinrank.text import TextSettings

    torch.manual_seed(0)
    backbone = resolve("all-MiniLM-L6-v2")
    teacher = Teacher(open_backbone(backbone), "first", HeadSettings())
    card = {"backbone": backbone, "pooling": "first", "head": HeadSettings(), "text": TextSettings()}
    publish(teacher, "minilm", card | {"metrics": {}, "lineage": {}}, str(folder))


def write_tables(folder: Path, num_pairs: int, num_pins: int = 20_000) -> None:
    """So many pairs, thirty a query, and their pins' texts; a piece at a time."""
    pins = [f"pin-{number:07d}" for number in range(num_pins)]
    tables.write(pa.Table.from_batches(list(_pin_texts(pins))), str(folder / "pin_text"), tables.PIN_TEXT)
    target = folder / "sampled_pairs" / "part-00000.parquet"
    target.parent.mkdir()
    with pq.ParquetWriter(target, tables.SAMPLED_PAIRS.schema, compression="zstd") as writer:
        for start in range(0, num_pairs, 100_000):
            writer.write_table(_pairs(pins, range(start, min(start + 100_000, num_pairs))))


def scaled(rows: int, scale: float) -> int:
    """A share of the rows, and no fewer than make a few shards."""
    return max(round(rows * scale), 4 * ROWS_PER_SHARD)


PARTS = {"noop": noop_ratio, "resume": resume_ratio, "memory": memory_ratio}
"""Beside the engines."""


def _pairs(pins: list[str], numbers: range) -> pa.Table:
    rows = [(_text(number // 30, 4), pins[(number * 7919) % len(pins)]) for number in numbers]
    columns = {
        "pair_key": [pair_key(query, pin) for query, pin in rows],
        "query": [query for query, _ in rows],
        "query_locale": ["en"] * len(rows),
        "pin_id": [pin for _, pin in rows],
        "source": ["synthetic"] * len(rows),
        "stratum": ["en"] * len(rows),
        "weight": [1.0] * len(rows),
    }
    return pa.table(columns, schema=tables.SAMPLED_PAIRS.schema)


def _pin_texts(pins: list[str]) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(pins), 10_000):
        rows = []
        for number in range(start, min(start + 10_000, len(pins))):
            fields = dict.fromkeys(FIELDS, "") | {
                "title": _text(number, 6),
                "description": _text(number + 1, 4 + number % 24),
            }
            rows.append(
                {"pin_id": pins[number], "source": "s", "locale": "en", **fields, "fingerprint": fingerprint(fields)}
            )
        yield pa.RecordBatch.from_pylist(rows, tables.PIN_TEXT.schema)


def _text(number: int, num_words: int) -> str:
    chosen = (WORDS[(number * (place + 3) + place) % len(WORDS)] for place in range(num_words))
    return " ".join([*chosen, str(number)])


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in ("job", "bare"):
        measured = job(*sys.argv[2:]) if sys.argv[1] == "job" else bare(*sys.argv[2:])
        print(json.dumps(measured))
    else:
        main()
