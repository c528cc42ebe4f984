"""What the comparing jobs share: their settings, what they read, and a row's way from settings to grades.

A teacher of a row is trained under OUTPUT/teachers/NAME, once: the same comparison, started again, goes on with the row
that it was in, and a comparison of other pairs (another split) only grades.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import Field
from safetensors import safe_open

from pinrank import tables
from pinrank.backbones import resolve
from pinrank.cluster import ClusterSettings, connect
from pinrank.datasets.world import MARK
from pinrank.durable import MountedFolder, exclusive
from pinrank.evaluation.comparison import BootstrapSettings, Facts, Report
from pinrank.evaluation.judged import Graded, from_logits
from pinrank.evaluation.ray_grading import TimedGrading, grade_apart, grade_timed
from pinrank.evaluation.report_files import write_files
from pinrank.evaluation.task import Task, from_tables
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings, Summary, versions
from pinrank.teacher.card import read_card
from pinrank.teacher.examples import judged_examples
from pinrank.teacher.judge import publish_judge
from pinrank.teacher.once import train_once
from pinrank.teacher.score import EngineSettings
from pinrank.teacher.settings import TeacherSettings
from pinrank.text import TextSettings, packed

log = logging.getLogger(__name__)

ON_DEV = (
    "Measured on dev, on which training also chose its epochs: fit for choosing between rows; what was chosen is to be "
    "reported on test."
)
GENERATED = "These tables are a generated world: the figures show that every part works and say nothing of real search."


class ComparisonSettings(JobSettings):
    """Settings that all comparing jobs have."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: judgments and pin_text")
    output: MountedFolder = Field(description="folder of the reports, and of the teachers that are trained for them")
    split: Literal["dev", "test"] = Field("test", description="what is measured; choose on dev, report on test")
    teacher: TeacherSettings = Field(TeacherSettings(), description="how every row is trained, but for what it changes")
    max_pairs_per_source: int | None = Field(None, ge=1, description="cap on train pairs of one source")
    max_dev_pairs_per_source: int | None = Field(None, ge=1, description="cap on dev pairs of one source, in training")
    max_measured_pairs_per_source: int | None = Field(None, ge=1, description="cap on measured pairs of one source")
    engine: EngineSettings = Field(EngineSettings(name="transformers"), description="what grades, and is timed")
    dollars_per_hour: float | None = Field(
        None, ge=0, description="price of the machine that grades; null: no cost is reported"
    )
    bootstrap: BootstrapSettings = BootstrapSettings()
    cluster: ClusterSettings = ClusterSettings()


@dataclass(frozen=True)
class Data:
    """The tables, and the pairs that are measured."""

    judgments: pa.Table
    pin_text: pa.Table
    task: Task


@dataclass(frozen=True)
class Trial:
    """A row that was graded; is_new when its teacher was trained now, and not by an earlier start or someone else."""

    graded: Graded
    facts: Facts
    is_new: bool


@contextmanager
def alone(settings: ComparisonSettings) -> Iterator[None]:
    """Let no second comparison write to the output; CommitError when one does, or when it cannot be written."""
    with exclusive(settings.output / ".lock"):
        yield


def read(settings: ComparisonSettings) -> Data:
    """The tables and the measured split. Raises TableError (JudgmentError) when they cannot be used."""
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT)
    limit = settings.max_measured_pairs_per_source
    return Data(judgments, pin_text, from_tables(judgments, pin_text.to_pylist(), settings.split, limit))


def examples_of(data: Data, text: TextSettings, settings: ComparisonSettings) -> pa.Table:
    """What a teacher that reads this text trains on, under the settings' caps (pinrank.teacher.examples.EXAMPLES)."""
    limits = (settings.max_pairs_per_source, settings.max_dev_pairs_per_source)
    return judged_examples(data.judgments, data.pin_text, text, *limits)


def try_teacher(name: str, teacher: TeacherSettings, data: Data, settings: ComparisonSettings) -> Trial:
    """A row's grades. Its teacher is trained first, but for a judge, which learns nothing."""
    if teacher.kind == "judge":
        folder = folder_of(name, settings)
        publish_judge(teacher, name, folder)
        return grade(folder, data, settings)
    return train_and_grade(name, examples_of(data, teacher.text, settings), teacher, data, settings)


def train_and_grade(
    name: str, examples: pa.Table, teacher: TeacherSettings, data: Data, settings: ComparisonSettings
) -> Trial:
    """Train under OUTPUT/teachers/NAME unless that is done, then grade."""
    folder = folder_of(name, settings)
    if teacher.num_workers:
        connect(settings.cluster)
    lineage = {"tables": settings.tables, "num_pairs": examples.num_rows}
    _, is_new = train_once(examples, teacher, name, folder, lineage)
    graded = grade(folder, data, settings)
    num_train = examples["split"].to_pylist().count("train")
    return replace(graded, facts=replace(graded.facts, train_pairs=num_train), is_new=is_new)


def folder_of(name: str, settings: ComparisonSettings) -> str:
    """Where a row's teacher lies."""
    return str(settings.output / "teachers" / name)


def grade(folder: str, data: Data, settings: ComparisonSettings) -> Trial:
    """Grade the measured pairs with a trained teacher; ModelError when the folder holds none."""
    card = read_card(folder)
    texts = [(query, packed(pin, card.text)) for query, pin in data.task.pairs]
    weights = folder if card.kind == "trained" else resolve(card.backbone)
    found = _timed(str(Path(folder).absolute()), texts, settings)
    log.info("%s: graded %d pairs, %.1f pairs/s", card.version, len(texts), found.pairs_per_s)
    facts = Facts(
        version=card.version,
        parameters=num_parameters(weights),
        pairs_per_s=round(found.pairs_per_s, 2),
        dollars_per_million_pairs=dollars_per_million(found.pairs_per_s, settings.dollars_per_hour),
    )
    calibrated_NL = card.calibration.calibrated(found.logits_NL, data.task.judged.locales_N)
    return Trial(from_logits(found.logits_NL, calibrated_NL), facts, is_new=False)


def _timed(folder: str, texts: Sequence[tuple[str, str]], settings: ComparisonSettings) -> TimedGrading:
    """Graded where training runs: in a process of its own, or with num_workers 0 in this one."""
    teacher = settings.teacher
    if not teacher.num_workers:
        return grade_timed(folder, texts, settings.engine)
    connect(settings.cluster)
    return grade_apart(folder, texts, settings.engine, teacher.cpus_per_worker, teacher.use_gpu)


def num_parameters(folder: str) -> int | None:
    """Weights of a model's folder, by the headers of its safetensors files; None where there are none."""
    files = sorted(Path(folder).rglob("*.safetensors"))
    return sum(map(_num_weights, files)) if files else None


def dollars_per_million(pairs_per_s: float, dollars_per_hour: float | None) -> float | None:
    """What grading a million pairs costs at this speed; None without a price."""
    return None if dollars_per_hour is None else round(dollars_per_hour / 3600 / pairs_per_s * 1e6, 4)


def conclude(report: Report, trials: Mapping[str, Trial], data: Data, settings: ComparisonSettings) -> Summary:
    """Write OUTPUT/report-SPLIT.json, .md and .html, and say what was done."""
    warnings = ((ON_DEV,) if settings.split == "dev" else ()) + (
        (GENERATED,) if exists(f"{settings.tables}/{MARK}") else ()
    )
    record = {"versions": versions(), "settings": settings.model_dump(mode="json")}
    complete = replace(report, notes=(*report.notes, *warnings))
    files = write_files(complete, record, settings.output, f"report-{settings.split}")
    for path in files:
        log.info("wrote %s", path)
    details = {
        "report": files,
        "trained": [name for name, trial in trials.items() if trial.is_new],
        "not_trained": [name for name, trial in trials.items() if not trial.is_new],
    }
    return Summary(data.judgments.num_rows, len(data.task.pairs), 0, details)


def _num_weights(path: Path) -> int:
    with safe_open(path, "numpy") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
