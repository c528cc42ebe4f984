"""The second objective: towers that tell, among the pins of a batch, the one that people engaged with after the query.

The pairs, their batches and the loss are those of the search embedding (pinrank.search_embedding.loss).
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Tensor, nn

from pinrank.search_embedding.batches import Batch, Learnt, num_batches, random_batches
from pinrank.student.model import Student
from pinrank.student.settings import StudentSettings


class EngagedPairs:
    """Engaged pairs (PAIRS on disk, those that are not held out), of which every step takes a batch."""

    def __init__(self, path: Path, settings: StudentSettings, tokenizer: Any, rank: int, num_ranks: int) -> None:
        pairs = pq.read_table(path)
        learnt = pairs.filter(pc.invert(pairs["held_out"]))
        self.learnt = Learnt(learnt, tokenizer, settings.text, settings.retrieval.correct_popularity)
        self.batch_size, self.seed = settings.retrieval.batch_size, settings.seed
        self.rank, self.num_ranks = rank, num_ranks
        self._order = lru_cache(maxsize=1)(self._order_of)

    def batch_at(self, step: int) -> Batch:
        """The batch of a step of the run: the pairs go round as often as it takes, in another order every time."""
        pass_number, place = divmod(step, num_batches(len(self.learnt), self.batch_size, self.num_ranks))
        return self.learnt.batch(self._order(pass_number)[place])

    def _order_of(self, pass_number: int) -> list[NDArray[np.int64]]:
        seed = self.seed * 1_000_003 + pass_number
        return list(random_batches(len(self.learnt), self.batch_size, seed, self.rank, self.num_ranks))


class TwoObjectives(nn.Module):
    """A student that is asked for both at once, so that one backward pass averages the gradients of both."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, graded: tuple[Any, ...], engaged: tuple[Any, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """The arguments of the student and those of its towers to logits_NL, queries_BD and pins_BD."""
        logits_NL: Tensor = self.student(*graded)
        queries_BD, pins_BD = self.student.towers(*engaged)
        return logits_NL, queries_BD, pins_BD
