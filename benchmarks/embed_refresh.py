"""What a refresh of the pins' vectors costs when few pins have changed, beside embedding them all.

    python -m benchmarks.embed_refresh
    python -m benchmarks.embed_refresh --pins 500   # whether it runs, no figures

cost_at_1pct    seconds of embed_pins with 1% changed pins over those of the first run, Ray's start-up in neither
cost_unchanged  the same when no pin has changed
full_s, at_1pct_s, start_s   seconds of the first run, of the refresh, and of starting Ray alone

Pins have 24 words on average; the student is an untrained one on MiniLM. A refresh is the whole job: tables read and
compared, texts encoded, record and store written and verified. The first run encodes on a Ray Data actor, in a session
that was started before; refreshes encode in their own process, as embed_pins does with few texts. The median of ROUNDS
refreshes counts, each with other pins changed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.record import print_result
from pinrank import lexical, tables
from pinrank.backbones import resolve
from pinrank.cluster import ClusterSettings, connect
from pinrank.student.declaration import read_declaration
from pinrank.student.examples import human_examples
from pinrank.student.fit import fit
from pinrank.student.model import build_student
from pinrank.student.publish import save_student
from pinrank.student.settings import StudentSettings
from pinrank.tables import JUDGMENTS, PIN_TEXT
from pinrank.text import FIELDS, fingerprint
from pipelines.embed_pins import EmbedPins
from pipelines.embed_pins import main as embed_pins

NUM_PINS = 30_000
ROUNDS = 3
SHARE = 0.01
SYLLABLES = ("ba", "do", "ku", "le", "mi", "no", "pa", "ri", "su", "te", "vo", "za")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pins", type=int, default=NUM_PINS)
    parser.add_argument("--student", type=Path, help="a student's folder; default: an untrained one on MiniLM")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pinrank-") as folder:
        ratios = measured(Path(folder), asked.pins, asked.student)
    print_result("embed_refresh", ratios, ROUNDS)


def measured(folder: Path, num_pins: int, student: Path | None) -> dict[str, float]:
    """Every ratio."""
    texts = texts_of(num_pins)
    student = student or untrained(folder / "student", texts)
    start_s = seconds(lambda: connect(ClusterSettings(num_cpus=2, dashboard=False)))
    settings = EmbedPins(tables=str(folder), student=student, output=folder / "store", texts_without_ray=num_pins // 50)
    write(folder, texts)
    full_s = seconds(lambda: embed_pins(settings))
    refreshes, unchanged = [], []
    for number in range(ROUNDS):
        texts = changed(texts, number)
        write(folder, texts)
        refreshes.append(seconds(lambda: embed_pins(settings)))
        unchanged.append(seconds(lambda: embed_pins(settings)))
    return {
        "cost_at_1pct": statistics.median(refreshes) / full_s,
        "cost_unchanged": statistics.median(unchanged) / full_s,
        "full_s": full_s,
        "at_1pct_s": statistics.median(refreshes),
        "start_s": start_s,
    }


def texts_of(num_pins: int) -> pa.Table:
    """PIN_TEXT of random pins."""
    rng = np.random.default_rng(0)
    words = np.asarray([f"{first}{second}" for first in SYLLABLES for second in SYLLABLES])
    rows = []
    for number in range(num_pins):
        title, description = (" ".join(rng.choice(words, count)) for count in (rng.integers(3, 9), rng.integers(8, 30)))
        rows.append(row_of(f"pin-{number}", f"{title} {number}", description))
    return pa.Table.from_pylist(rows, schema=PIN_TEXT.schema)


def row_of(pin_id: str, title: str, description: str) -> dict[str, str]:
    """A row of pin_text."""
    fields = dict.fromkeys(FIELDS, "") | {"title": title, "description": description}
    return {"pin_id": pin_id, "locale": "en", **fields, "fingerprint": fingerprint(fields)}


def changed(texts: pa.Table, number: int) -> pa.Table:
    """The same pins, of which a hundredth has another title."""
    rows = texts.to_pylist()
    for place in np.random.default_rng(number).choice(len(rows), round(SHARE * len(rows)), replace=False):
        rows[place] = row_of(rows[place]["pin_id"], f"{rows[place]['title']} again", rows[place]["description"])
    return pa.Table.from_pylist(rows, schema=PIN_TEXT.schema)


def untrained(folder: Path, texts: pa.Table) -> Path:
    """A student as training begins it: MiniLM under a ranker that knows the cosine alone."""
    import torch
    from transformers import AutoTokenizer

    settings = StudentSettings()
    pins = texts.slice(0, 500)
    stats = lexical.fit(lexical.field_terms(pins.select(list(lexical.READ)).to_pylist()))
    judged = {"level": 5, "source": "made", "split": "train"}
    rows = [{"query": row["title"], "pin_id": row["pin_id"], **judged} for row in pins.to_pylist()]
    examples = human_examples(pa.Table.from_pylist(rows, schema=JUDGMENTS.schema), pins, 1.0)
    spec = fit(read_declaration(), examples, stats)
    torch.manual_seed(0)
    student = build_student(settings, spec)
    tokenizer = AutoTokenizer.from_pretrained(resolve(settings.backbone))
    save_student(
        student,
        tokenizer,
        spec,
        stats,
        folder,
        name="untrained",
        backbone=settings.backbone,
        text=settings.text,
        metrics={},
        lineage={},
    )
    return folder


def write(folder: Path, texts: pa.Table) -> None:
    """The table that a refresh reads."""
    tables.write(texts, f"{folder}/pin_text", PIN_TEXT)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
