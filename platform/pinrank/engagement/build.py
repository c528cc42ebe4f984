"""Building pin text out of core: the log and the pins are cut by hash of pin_id, each partition becomes one file.

1. Each stretch of the log becomes evidence, and each stretch of the pins parts of link texts; both go to disk by
   partition. 2. The domains' repeated parts are counted. 3. Each partition's evidence and pins become PIN_TEXT, and the
   evidence is kept where later days shall be added to it. A worker holds one piece or one partition at a time.
"""

import datetime
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from pinrank import logs
from pinrank.dirt import EARLIEST
from pinrank.engagement import units
from pinrank.engagement.links import Boilerplate, joined
from pinrank.engagement.units import BUILT_UNDER, MIN_DWELL_S, Job, Read, Texts, Written
from pinrank.errors import TableError
from pinrank.parquet import exists, replaced, schemas
from pinrank.ray_units import Workers
from pinrank.tables import ENGAGEMENT, PIN_ENGAGEMENT, PIN_TEXT
from pinrank.unseen import Unseen


@dataclass(frozen=True)
class Sources:
    """Stretches of what is read; log None: there is none, aggregates: what earlier logs said."""

    pins: list[logs.Stretch]
    log: list[logs.Stretch] | None
    aggregates: list[logs.Stretch]

    @property
    def num_rows(self) -> int:
        """Of the log and what earlier ones said, or of the pins where there are more."""
        return max(logs.num_rows(self.pins), logs.num_rows([*(self.log or []), *self.aggregates]))


def sources(pins: str | None, log: str | None, aggregates: str | None, min_dwell_s: float, rows: int) -> Sources:
    """Cut the inputs; pins None: only what people did is wanted.

    Raises TableError when one is missing, or the aggregates were made with another `min_dwell_s`.
    """
    earlier = []
    if aggregates is not None and exists(aggregates):
        for file, schema in schemas(aggregates, PIN_ENGAGEMENT.name):
            said = (schema.metadata or {}).get(MIN_DWELL_S, b"").decode()
            if said != str(min_dwell_s):
                raise TableError(
                    f"{file}: a click was long from {said or 'an unknown number of'} s on, words.min_dwell_s is "
                    f"{min_dwell_s}. Set it back, or build the aggregates from all logs into another folder."
                )
        earlier = logs.cut(aggregates, PIN_ENGAGEMENT, rows)
    return Sources(
        pins=[] if pins is None else logs.cut(pins, units.PIN_FIELDS, rows),
        log=None if log is None else logs.cut(log, ENGAGEMENT, rows),
        aggregates=earlier,
    )


def read_engagement(found: Sources, job: Job, workers: Workers) -> Read:
    """The evidence of the log and of earlier ones, by partition."""
    total = _summed(workers.each(partial(units.read_log, job=job), found.log or []))
    total.add(_summed(workers.each(partial(units.read_aggregates, job=job), found.aggregates)))
    return total.ordered()


def read_pins(found: Sources, job: Job, workers: Workers) -> Read:
    """The pins by partition, and the parts of their links' texts by domain."""
    return _summed(workers.each(partial(units.read_pins, job=job), found.pins)).ordered()


def read_before(path: str, forbidden: Unseen, job: Job, workers: Workers) -> Read | None:
    """The texts that an earlier run wrote, where the same words were allowed; None where there are none."""
    under = units.built_under(job.words, forbidden)
    if job.words.steady_share == 0 or not exists(path):
        return None
    held = schemas(path, PIN_TEXT.name)
    if any((schema.metadata or {}).get(BUILT_UNDER, b"").decode() != under for _, schema in held):
        return None
    stretches = logs.cut(path, PIN_TEXT, job.rows.rows_per_piece)
    return _summed(workers.each(partial(units.read_texts, job=job), stretches)).ordered()


def find_boilerplate(pins: Read, job: Job, workers: Workers) -> Boilerplate:
    """What the links of each domain share."""
    of_partition = partial(units.shared_parts, parts=pins.parts, words=job.words)
    return joined(list(workers.each(of_partition, range(job.num_partitions))))


def write(texts: Texts, output: str, aggregates: str | None, job: Job, workers: Workers) -> Written:
    """Write PIN_TEXT, and the evidence where it is kept; both appear when all of it is there."""
    with ExitStack() as stack:
        folder = stack.enter_context(replaced(output, job.num_partitions))
        kept = stack.enter_context(replaced(aggregates, job.num_partitions)) if aggregates else None
        texts = replace(texts, output=folder, aggregates=kept)
        total = Written()
        for each in workers.each(partial(units.write_texts, texts=texts, job=job), range(job.num_partitions)):
            total.add(each)
    return total


def last_day_of(engagement: Read, asked: datetime.date | None) -> datetime.date:
    """The day with which the window of the queries ends."""
    return asked or engagement.last_day or EARLIEST.date()


def _summed(found: Iterable[Read]) -> Read:
    total = Read()
    for each in found:
        total.add(each)
    return total
