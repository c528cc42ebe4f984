"""Soft labels and examples to prepared parts, a unit at a time, here or on Ray Data.

A unit is some stretches of soft labels, or some rows of the examples that lie in memory. It is read, joined with its
pins' texts, tokenised, shuffled and written as one part, with its record last; a unit whose record is there is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from pinrank.durable import write_text
from pinrank.faults import Fault
from pinrank.keys import column_hashes
from pinrank.lexical import LexicalStats
from pinrank.logs import Stretch
from pinrank.ray_units import Workers
from pinrank.student.batches import Prepare
from pinrank.student.examples import shuffled, soft_examples
from pinrank.student.feature_tables import tables_of
from pinrank.student.features import FeatureSpec
from pinrank.student.frozen import split_texts
from pinrank.student.importance import Importance
from pinrank.student.label_files import ROWS_PER_STRETCH, LabelFiles, rows_of
from pinrank.student.parts import Part, read_part, write_part
from pinrank.student.settings import StudentSettings

ROWS_PER_CALL = 2048
"""Examples that are tokenised and featurised at once."""

INPUTS = "inputs"
"""The folder of a run that holds what every unit reads: pin text, examples, statistics, specification."""

PIN_TEXT = "pin_text"
PARTS = "parts"


class Done(BaseModel):
    """The record of a unit; `bad`: the column, reason and mend of each fault, and the numbers of its rows."""

    model_config = ConfigDict(frozen=True)

    part: Part
    bad: tuple[tuple[str, str, str, tuple[int, ...]], ...] = ()
    unusable: Path | None = None

    @property
    def num_unusable(self) -> int:
        """Labels that cannot be learnt from."""
        return len({row for *_, rows in self.bad for row in rows})

    def faults(self) -> list[Fault]:
        """Why labels cannot be learnt from; rows count through all labels."""
        return [
            Fault(column, reason, mend, np.asarray(rows, dtype=np.int64)) for column, reason, mend, rows in self.bad
        ]


@dataclass(frozen=True)
class Unit:
    """What becomes one part: rows `start` to `stop` of all labels, which are those of the stretches, or of the examples
    that lie in memory under the name of their split. `kept` has a bit a row of the stretches."""

    name: str
    start: int
    stop: int
    examples: str = ""
    stretches: tuple[Stretch, ...] = ()
    kept: bytes = b""


@dataclass(frozen=True)
class Job:
    """What every unit has to know. The folder must be one that all nodes see."""

    folder: Path
    settings: StudentSettings
    where: str = ""
    importance: Importance | None = None
    tables: str | None = None  # the folder of the features beside the texts


def write_inputs(
    folder: Path, pin_text: pa.Table, examples: dict[str, pa.Table], stats: LexicalStats, spec: FeatureSpec
) -> None:
    """Write what units read into a run's folder; the examples by the name of their split."""
    inputs = folder / INPUTS
    inputs.mkdir(exist_ok=True)
    stats.save(inputs)
    spec.save(inputs)
    for name, table in {PIN_TEXT: pin_text, **examples}.items():
        write_part(table, inputs / f"{name}.arrow")


def units_of(labels: LabelFiles | None, examples: dict[str, pa.Table]) -> list[Unit]:
    """The units of a run: labels first."""
    units = _label_units(labels) if labels else []
    for split, table in examples.items():
        for number, start in enumerate(range(0, table.num_rows, ROWS_PER_STRETCH)):
            stop = min(start + ROWS_PER_STRETCH, table.num_rows)
            units.append(Unit(f"{split}-{number:05d}", start, stop, examples=split))
    return units


def prepare(units: Sequence[Unit], job: Job, workers: Workers) -> dict[str, Done]:
    """The records of all units by name."""
    (job.folder / PARTS).mkdir(exist_ok=True)
    return dict(workers.each(partial(prepare_unit, job=job), units))


def prepare_unit(unit: Unit, job: Job) -> tuple[str, Done]:
    """Read, join, prepare and write one unit, unless it is done."""
    record = job.folder / PARTS / f"{unit.name}.json"
    if record.exists():
        return unit.name, Done.model_validate_json(record.read_text())
    done = _of_examples(unit, job) if unit.examples else _of_labels(unit, job)
    write_text(record, done.model_dump_json())
    return unit.name, done


def _of_examples(unit: Unit, job: Job) -> Done:
    examples = read_part(job.folder / INPUTS / f"{unit.examples}.arrow").slice(unit.start, unit.stop - unit.start)
    return Done(part=_written(examples, unit, job))


def _of_labels(unit: Unit, job: Job) -> Done:
    bits = np.frombuffer(unit.kept, dtype=np.uint8)
    kept_N = np.unpackbits(bits, count=unit.stop - unit.start).astype(bool)
    labels = pa.concat_tables([rows for stretch in unit.stretches for rows in rows_of(stretch)])
    labels = labels.filter(pa.array(kept_N))
    weight_N = job.importance.weights(labels["weight"].to_numpy()) if job.importance else None
    pin_text = read_part(job.folder / INPUTS / f"{PIN_TEXT}.arrow")
    examples, record, found = soft_examples(labels, pin_text, job.settings.temperature, job.where, weight_N)
    row_N = unit.start + np.flatnonzero(kept_N)
    bad = tuple((each.column, each.reason, each.mend, tuple(row_N[each.rows].tolist())) for each in found)
    unusable = None
    if record.num_rows:
        record = record.set_column(1, "row", pa.array(row_N[record["row"].to_numpy()]))
        unusable = write_part(record, job.folder / PARTS / f"{unit.name}.unusable.arrow").path
    return Done(part=_written(examples, unit, job), bad=bad, unusable=unusable)


def _written(examples: pa.Table, unit: Unit, job: Job) -> Part:
    """Rows that no Prepare has seen make an empty part: it has no columns either."""
    seed = int(column_hashes(pa.array([f"{job.settings.seed} {unit.name}"]))[0])
    mixed = shuffled(examples, seed)
    prepare_rows = _opened(job.folder, job.settings, job.tables)
    starts = range(0, mixed.num_rows, ROWS_PER_CALL)
    pieces = [prepare_rows(mixed.slice(start, ROWS_PER_CALL)) for start in starts]
    rows = pa.concat_tables(pieces).combine_chunks() if pieces else pa.table({})
    if job.settings.frozen_towers and rows.num_rows:
        rows = split_texts(rows, job.folder / PARTS, unit.name)
    return write_part(rows, job.folder / PARTS / f"{unit.name}.arrow")


@lru_cache(maxsize=1)
def _opened(folder: Path, settings: StudentSettings, tables: str | None) -> Prepare:
    """A process opens the tokenizer, the statistics and the features beside the texts once for all its units."""
    inputs = folder / INPUTS
    spec = FeatureSpec.open(inputs)
    return Prepare(settings.backbone, settings.text, LexicalStats.open(inputs), spec, tables_of(spec, tables))


def _label_units(labels: LabelFiles) -> list[Unit]:
    """Neighbouring stretches together, until they have as many rows as a unit should."""
    units: list[Unit] = []
    held: list[Stretch] = []
    start = stop = 0
    for stretch in labels.stretches:
        if held and stop + stretch.num_rows - start > ROWS_PER_STRETCH:
            units.append(_label_unit(len(units), held, start, stop, labels))
            held, start = [], stop
        held.append(stretch)
        stop += stretch.num_rows
    return [*units, _label_unit(len(units), held, start, stop, labels)]


def _label_unit(number: int, held: list[Stretch], start: int, stop: int, labels: LabelFiles) -> Unit:
    kept = np.packbits(labels.kept_N[start:stop]).tobytes()
    return Unit(f"labels-{number:05d}", start, stop, stretches=tuple(held), kept=kept)
