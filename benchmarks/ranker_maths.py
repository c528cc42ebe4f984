"""The student's MLP for one query and 500 pins, as serving computes it, beside the torch model that training wrote.

    python -m benchmarks.ranker_maths

ms                  from rows of the pin store (float16), the query's vector and the pair features to logits, by numpy;
                    the median CPU time of one thread, so that what else runs counts only through the caches. Vectors of
                    384, MLP 128 and 64 wide, 29 pair features: the default student
ms_at_128           the same of a student that is cut to vectors of 128
vs_torch_eager      seconds of the torch model in float32 on the same thread, vectors of 384, over `ms`
largest_difference  of a probability of a level, between both, over all calls: with the rows' rounding to float16
largest_of_logits   the same of the logits

Weights are random, as wide as those of a student that was trained: products of 0.5, other layers as torch starts them,
the last one 0.1. Each round computes CALLS other queries with other pins by each in turn.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from benchmarks.record import print_result
from pinrank.levels import probabilities
from pinrank.student.declaration import read_declaration
from pinrank.student.features import order_of
from pinrank.student.inputs import Features, Shapes, Side
from pinrank.student.model import Ranker
from pinrank.student.ranker import RANKER_FILE, RankerWeights, open_ranker
from pinrank.student.settings import RankerSettings

VECTOR_DIM, CUT_DIM = 384, 128
NUM_CANDIDATES = 500
ROUNDS = 5
CALLS = 40


def main() -> None:
    """Measure in turn and print."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shapes = Shapes(len(order_of(read_declaration()).pair))
    model = random_model(shapes)
    whole = numpy_model(model, shapes)
    cut, rng = whole.cut(CUT_DIM), np.random.default_rng(0)
    took: dict[str, list[float]] = {"whole": [], "cut": [], "torch": []}
    apart, logits_apart = 0.0, 0.0
    for number in range((ROUNDS + 1) * CALLS):
        query_D, pins_ND = unit_vectors(rng, 1)[0], unit_vectors(rng, NUM_CANDIDATES)
        features_NF = rng.standard_normal((NUM_CANDIDATES, shapes.num_pair), dtype=np.float32)
        rows_NR = rows_of(whole, pins_ND)
        whole_s, found_NL = timed(partial(whole.logits, query_D, rows_NR, features_NF))
        cut_query_D, cut_rows_NR = normal(query_D[None, :CUT_DIM])[0], rows_of(cut, normal(pins_ND[:, :CUT_DIM]))
        cut_s, _ = timed(partial(cut.logits, cut_query_D, cut_rows_NR, features_NF))
        torch_s, wanted_NL = timed(partial(by_torch, model, query_D, pins_ND, features_NF))
        if number >= CALLS:
            for name, seconds in (("whole", whole_s), ("cut", cut_s), ("torch", torch_s)):
                took[name].append(seconds)
        apart = max(apart, float(np.abs(probabilities(found_NL) - probabilities(wanted_NL)).max()))
        logits_apart = max(logits_apart, float(np.abs(found_NL - wanted_NL).max()))
    median = {name: statistics.median(each) for name, each in took.items()}
    print_result(
        "ranker_maths",
        {
            "ms": 1000 * median["whole"],
            "ms_at_128": 1000 * median["cut"],
            "vs_torch_eager": median["torch"] / median["whole"],
            "largest_difference": apart,
            "largest_of_logits": logits_apart,
        },
        ROUNDS,
    )


def random_model(shapes: Shapes) -> Ranker:
    """The MLP with weights that no pair leaves at one level."""
    model = Ranker(VECTOR_DIM, shapes, RankerSettings(), cosine_centre=0.4, cosine_scale=5.0).eval()
    for weight in (model.layers[-1].get_parameter("weight"), model.shortcut.weight):
        torch.nn.init.normal_(weight, std=0.1)
    return model


def numpy_model(model: Ranker, shapes: Shapes) -> RankerWeights:
    """The same MLP as serving opens it."""
    with tempfile.TemporaryDirectory() as folder:
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, f"{folder}/{RANKER_FILE}")
        return open_ranker(Path(folder), shapes, model.cosine_centre, model.cosine_scale)


@torch.inference_mode()
def by_torch(
    model: Ranker, query_D: NDArray[np.float32], pins_ND: NDArray[np.float32], features_NF: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Logits from whole vectors."""
    none = Side(np.zeros((len(pins_ND), 0), np.float32), np.zeros((len(pins_ND), 0), np.int32))
    features = Features(features_NF, none, none).mapped(torch.from_numpy)
    query_ND = torch.from_numpy(query_D).expand(len(pins_ND), -1)
    return np.asarray(model(query_ND, torch.from_numpy(pins_ND), features))


def rows_of(weights: RankerWeights, pins_ND: NDArray[np.float32]) -> NDArray[np.float16]:
    """Rows of the pin store."""
    return np.concatenate([pins_ND, weights.pin_side(pins_ND)], axis=1, dtype=np.float16, casting="same_kind")


def unit_vectors(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Random directions."""
    return normal(rng.standard_normal((count, VECTOR_DIM), dtype=np.float32))


def normal(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same at length 1."""
    return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True))


def timed(work: Callable[[], NDArray[np.float32]]) -> tuple[float, NDArray[np.float32]]:
    """CPU seconds that a call takes of this thread, and what it returned."""
    begun = time.thread_time()
    found = work()
    return time.thread_time() - begun, found


if __name__ == "__main__":
    main()
