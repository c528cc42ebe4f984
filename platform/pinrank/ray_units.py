"""Units of work (a stretch of a log, a partition), here one after the other or on Ray Data side by side.

A Ray Data row is a whole unit, never a row of a table: units read and write files of their own and hand back little, so
that Ray moves and retries few large things. Units and results are dataclasses, which Ray pickles on their way between
the processes of a session.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pinrank.cluster import ClusterSettings, connect
from pinrank.ray_stream import batches_of

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class WorkSettings(BaseModel):
    """How the rows are cut, and what a worker takes of the cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows_per_piece: int = Field(500_000, ge=1, description="rows of a log that are in memory at a time, a worker")
    rows_per_partition: int = Field(1_000_000, ge=1, description="rows of the log for each partition of its keys")
    rows_without_ray: int = Field(
        20_000_000, ge=0, description="a log of so few rows is read in this process; no session is started"
    )
    cpus: float = Field(1, gt=0, description="CPUs that Ray reserves for a unit")

    def num_partitions(self, num_rows: int) -> int:
        """Partitions for so many rows."""
        return max(1, -(-num_rows // self.rows_per_partition))


@dataclass(frozen=True)
class Workers:
    """Who does the units. cluster None: this process, without Ray."""

    settings: WorkSettings
    cluster: ClusterSettings | None = None

    def each(self, work: Callable[[Unit], Result], units: Sequence[Unit]) -> Iterator[Result]:
        """The result of every unit, in no order. Raises the PinrankError of a unit as it is."""
        if self.cluster is None or not units:
            yield from map(work, units)
        else:
            yield from _on_ray(work, units, self.settings, self.cluster)


def workers_for(num_rows: int, settings: WorkSettings, cluster: ClusterSettings) -> Workers:
    """This process for a log that it reads sooner than a session starts, Ray for a larger one."""
    small = num_rows <= settings.rows_without_ray
    return Workers(settings, None if small else cluster)


def _on_ray(
    work: Callable[[Unit], Result], units: Sequence[Unit], settings: WorkSettings, cluster: ClusterSettings
) -> Iterator[Result]:
    import ray

    connect(cluster)
    call = partial(_call, work=work, units=ray.put(list(units)))
    numbers = [{"unit": number} for number in range(len(units))]
    stream = ray.data.from_items(numbers, override_num_blocks=len(units))
    stream = stream.map_batches(call, batch_size=1, batch_format="pyarrow", num_cpus=settings.cpus)
    for batch in batches_of(stream):
        yield from map(ray.cloudpickle.loads, batch.column("result").to_pylist())


def _call(batch: pa.Table, work: Callable[[Any], Any], units: Any) -> pa.Table:
    import ray

    known = ray.get(units)
    results = [ray.cloudpickle.dumps(work(known[number])) for number in batch.column("unit").to_pylist()]
    pa.default_memory_pool().release_unused()
    return pa.table({"result": pa.array(results, pa.binary())})
