"""Looking pins up in the store, beside a plain numpy gather of rows whose places are known.

    python -m benchmarks.pin_store                             # 20M pins are 11 GB on disk, and as much while built
    python -m benchmarks.pin_store --large 2000000 --width 64  # whether it runs, no figures

gather_vs_numpy   seconds of PinStore.gather of 500 random ids of 1M pins, rows of 256 float16, over those of
                  `rows.take(places, axis=0)` of an array in memory: hashes, search and gather over the gather alone
find_vs_numpy     the same of the hashes and the search alone
with_deltas       gather with three deltas of 1% of the pins each over gather without
time_20m_vs_1m    gather from 20M pins over gather from 1M
load_s            seconds that opening the 20M pins takes, the slowest of five times
gather_ms         of 500 ids of 1M pins; for reading, not for comparing machines

Each round asks every store and the array CALLS times in turn, always for other pins; figures are medians over all
calls. Both stores are warmed before (PinStore.warm), as a replica does before it takes traffic.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.record import print_result
from pinrank.embeddings.batch import Batch
from pinrank.embeddings.manifest import Shape
from pinrank.embeddings.snapshot import Made, Merging, build_from, update
from pinrank.embeddings.store import PinStore
from pinrank.lexical import FieldTerms

NUM_PINS = 1_000_000
NUM_ASKED = 500
ROUNDS = 5
CALLS = 100
DELTAS = 3
BATCH = 100_000
STUDENT = "student@00000000"


def main() -> None:
    """Build, measure in turn, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", type=int, default=20_000_000, help="pins of the larger store")
    parser.add_argument("--width", type=int, default=256, help="numbers of a row")
    parser.add_argument("--folder", type=Path, help="where the stores are written for the while; default: $TMPDIR")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pinrank-", dir=asked.folder) as folder:
        print_result("pin_store", measured(Path(folder), asked.large, asked.width), ROUNDS)


def measured(folder: Path, large: int, width: int) -> dict[str, float]:
    """Every ratio."""
    for name, num_pins in (("small", NUM_PINS), ("large", large)):
        built(folder / name, num_pins, width)
    shutil.copytree(folder / "small", folder / "grown")
    for number in range(DELTAS):
        delta = [batch(range(number, NUM_PINS, 100), width)]
        update(folder / "grown", STUDENT, delta.copy, merging=Merging(max_deltas=DELTAS))
    loads = [seconds(lambda: PinStore.open(folder / "large")) for _ in range(5)]
    stores = {name: PinStore.open(folder / name) for name in ("small", "large", "grown")}
    array = np.concatenate([rows_of(range(start, start + BATCH), width) for start in range(0, NUM_PINS, BATCH)])
    for store in stores.values():
        store.warm()
    rng = np.random.default_rng(0)
    took: dict[str, list[float]] = {name: [] for name in ("numpy", "find", *stores)}
    for _ in range(ROUNDS):
        for _ in range(CALLS):
            places = rng.integers(0, NUM_PINS, NUM_ASKED)
            took["numpy"].append(seconds(partial(array.take, places, axis=0)))
        for name, store in stores.items():
            calls = [ids_of(rng, len(store)) for _ in range(CALLS)]
            took[name] += [seconds(partial(store.gather, pin_ids)) for pin_ids in calls]
        calls = [ids_of(rng, NUM_PINS) for _ in range(CALLS)]
        took["find"] += [seconds(partial(stores["small"].holds, pin_ids)) for pin_ids in calls]
    median = {name: statistics.median(each) for name, each in took.items()}
    return {
        "gather_vs_numpy": median["small"] / median["numpy"],
        "find_vs_numpy": median["find"] / median["numpy"],
        "with_deltas": median["grown"] / median["small"],
        "time_20m_vs_1m": median["large"] / median["small"],
        "load_s": max(loads),
        "gather_ms": 1000 * median["small"],
    }


def built(folder: Path, num_pins: int, width: int) -> None:
    """A store of so many pins, in four shards."""
    shape = Shape(row_width=width, num_fields=7, parts=(width,))
    starts = range(0, num_pins, BATCH)

    def batches() -> Iterator[Batch]:
        return (batch(range(start, min(start + BATCH, num_pins)), width) for start in starts)

    build_from(folder, batches, Made(STUDENT, shape))


def batch(pins: range, width: int) -> Batch:
    """Pins by number, without words."""
    none = FieldTerms(np.zeros(0, np.uint64), np.zeros(7 * len(pins) + 1, np.int64), np.zeros(len(pins), np.uint8))
    return Batch([name_of(number) for number in pins], rows_of(pins, width), none)


def rows_of(pins: range, width: int) -> np.ndarray:
    """Their rows: what is in them makes no difference."""
    return np.broadcast_to((np.arange(len(pins)) % 100).astype(np.float16)[:, None], (len(pins), width))


def ids_of(rng: np.random.Generator, num_pins: int) -> list[str]:
    """Ids of random pins."""
    return [name_of(number) for number in rng.integers(0, num_pins, NUM_ASKED).tolist()]


def name_of(number: int) -> str:
    """The id of a pin: as long as ids are that come from a hash."""
    return f"pin-{number:016x}"


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
