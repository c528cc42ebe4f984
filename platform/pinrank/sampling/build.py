"""Sampling out of core, in two passes. The first streams over the log and leaves its rows on disk by query, where the
pairs of a query meet whatever day they come from; the second streams over the pairs by pin, and takes of each cell
those with the smallest hashes. Between them only counts are kept: a worker holds one piece or one partition, this
process the sample.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from pinrank import logs
from pinrank.ray_units import Workers
from pinrank.sampling import units
from pinrank.sampling.allocation import Cell, Content
from pinrank.sampling.choice import choose, largest, pruned, report, weighted
from pinrank.sampling.placed import TAKEN
from pinrank.sampling.shown import QUERIES
from pinrank.sampling.strata import popularity
from pinrank.sampling.units import Job, Paired, Placing, Read


@dataclass(frozen=True)
class Sampled:
    """Sampled pairs (SAMPLED_PAIRS) and what there is to say about them."""

    pairs: pa.Table
    details: dict[str, object]


def read_impressions(log: Sequence[logs.Stretch], job: Job, workers: Workers) -> Read:
    """The log's rows by query."""
    return _summed(workers.each(partial(units.read_impressions, job=job), log))


def read_scores(scores: Sequence[logs.Stretch], job: Job, workers: Workers) -> Read:
    """What models said of pairs, by query."""
    return _summed(workers.each(partial(units.read_scores, job=job), scores))


def sample(shown: Read, scores: Read, job: Job, workers: Workers) -> Sampled:
    """Choose among the pairs of a log that was read."""
    paired = _paired(shown, scores, job, workers)
    placing = Placing(paired.pairs, shown.pins, popularity(paired.volumes, job.wanted.strata), shown.days)
    partitions = range(job.num_partitions)
    cells: dict[Cell, Content] = {}
    highest = TAKEN.empty_table()
    for counted in workers.each(partial(units.count_cells, placing=placing, job=job), partitions):
        highest = largest(pa.concat_tables([highest, counted.highest]), job.wanted)
        for cell, content in counted.cells.items():
            cells[cell] = cells.get(cell, Content()) + content
    choice = choose(cells, highest, job.wanted)
    active = np.sort(choice.active.column("order").to_numpy())
    taken = TAKEN.empty_table()
    take = partial(units.take_pairs, placing=placing, takes=choice.takes, active=active, job=job)
    for each in workers.each(take, partitions):
        taken = pruned(pa.concat_tables([taken, each]), choice.takes)
    details = {
        **dict(sorted(shown.left_out.items())),
        "repeated_events": paired.repeated,
        "pairs": sum(content.pairs for content in cells.values()),
        **report(choice, cells, taken),
    }
    return Sampled(weighted(choice, taken, _named(choice.active, taken, shown, job, workers)), details)


def _paired(shown: Read, scores: Read, job: Job, workers: Workers) -> Paired:
    pair_up = partial(units.pair_up, rows=shown.rows, scores=scores.rows, days=shown.days, job=job)
    total = Paired()
    for each in workers.each(pair_up, range(job.num_partitions)):
        total.add(each)
    return total


def _named(active: pa.Table, taken: pa.Table, shown: Read, job: Job, workers: Workers) -> pa.Table:
    chosen = np.unique(np.r_[active.column("query").to_numpy(), taken.column("query").to_numpy()])
    name = partial(units.name_queries, queries=shown.queries, chosen=chosen)
    return pa.concat_tables([QUERIES.empty_table(), *workers.each(name, range(job.num_partitions))])


def _summed(found: Iterable[Read]) -> Read:
    total = Read()
    for each in found:
        total.add(each)
    return total
