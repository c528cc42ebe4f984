"""What the jobs share that train students to compare them: settings, what they read, and a cell's way to its grades.

A cell is one student: a row of the table under one seed. It is trained under OUTPUT/students/ROW/seed-N once: the same
job, started again, goes on with the cell that it was in, and a report on other pairs (another split) only grades.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pinrank import tables, training_run
from pinrank.cluster import ClusterSettings, connect
from pinrank.datasets.world import MARK
from pinrank.durable import MountedFolder, exclusive
from pinrank.errors import ModelError
from pinrank.evaluation import significance
from pinrank.evaluation.comparison import BootstrapSettings, Facts, Measures, measure_rows
from pinrank.evaluation.judged import Graded, Integers, from_logits
from pinrank.evaluation.report import Measured
from pinrank.evaluation.task import Task, from_tables
from pinrank.evaluation.trial import GENERATED
from pinrank.lexical import WordSettings
from pinrank.parquet import exists
from pinrank.pipeline import JobSettings
from pinrank.sampling.by_source import capped_by_source
from pinrank.student.declaration import Declaration
from pinrank.student.examples import human_examples
from pinrank.student.export import StudentCard, open_student, read_card
from pinrank.student.feature_tables import inputs_of, tables_of
from pinrank.student.label_files import LabelFiles, find
from pinrank.student.lineage import code_version
from pinrank.student.publish import Sealing
from pinrank.student.settings import StudentSettings
from pinrank.student.tower_folder import towers_content
from pinrank.student.train import Labels, train
from pinrank.unseen import held_out_queries

log = logging.getLogger(__name__)

IDENTITY = "identity"
"""The key in a student's lineage under which it says what decided its weights."""

ON_DEV = (
    "Measured on dev, on which every student also chose its epoch and its calibration: fit for choosing between rows; "
    "what was chosen is to be reported on test."
)


class StudentTrialSettings(JobSettings):
    """Settings that all jobs have that train students to compare them."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: judgments and pin_text")
    soft_labels: tuple[str, ...] = Field(
        ("runs/demo/soft_labels",), description="the teacher's grades: folders, each of one job or with a folder a day"
    )
    output: MountedFolder = Field(description="folder of the report, and of the students that are trained for it")
    split: Literal["dev", "test"] = Field("test", description="what is measured; choose on dev, report on test")
    student: StudentSettings = Field(StudentSettings(), description="how every student is trained")
    feature_spec: Path | None = Field(None, description="YAML that names every input; null: what the texts give")
    words: WordSettings = Field(WordSettings(), description="how texts become terms")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="every row is trained once under each of them")
    allow_mixed_teachers: bool = Field(False, description="learn from the labels of several teachers at once")
    max_judgments_per_source: int | None = Field(None, ge=1, description="cap on human train rows of one source")
    max_dev_pairs_per_source: int | None = Field(None, ge=1, description="cap on dev rows of one source, in training")
    max_measured_pairs_per_source: int | None = Field(None, ge=1, description="cap on measured pairs of one source")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="fail when more labels cannot be used")
    bootstrap: BootstrapSettings = Field(BootstrapSettings(), description="how sure figures and differences are")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


@dataclass(frozen=True)
class StudentData:
    """The tables, and the pairs that are measured."""

    judgments: pa.Table
    pin_text: pa.Table
    task: Task

    @property
    def num_train_judgments(self) -> int:
        return int(pc.sum(pc.equal(self.judgments["split"], "train")).as_py() or 0)


@dataclass(frozen=True)
class Cell:
    """One student to train: how, on what, and what it reads. labels None: on human judgments alone."""

    row: str  # a folder's name
    settings: StudentSettings
    labels: LabelFiles | None
    declared: Declaration

    def folder(self, settings: StudentTrialSettings) -> Path:
        """Where it lies."""
        return settings.output / "students" / self.row / f"seed-{self.settings.seed}"


@dataclass(frozen=True)
class Tried:
    """A cell that was graded; is_new when its student was trained now, and not by an earlier start."""

    graded: Graded
    card: StudentCard
    is_new: bool


@contextmanager
def alone(settings: StudentTrialSettings) -> Iterator[None]:
    """Let no second job write to the output; CommitError when one does, or when it cannot be written."""
    with exclusive(settings.output / ".lock"):
        yield


def read(settings: StudentTrialSettings) -> StudentData:
    """The tables, train judgments capped, and the measured split. Raises TableError when they cannot be used."""
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT)
    task = task_of(judgments, pin_text, settings.split, settings.max_measured_pairs_per_source)
    caps = {"train": settings.max_judgments_per_source, "dev": settings.max_dev_pairs_per_source}
    kept = [capped_by_source(judgments.filter(pc.field("split") == split), most) for split, most in caps.items()]
    return StudentData(pa.concat_tables(kept), pin_text, task)


def task_of(judgments: pa.Table, pin_text: pa.Table, split: str, most: int | None) -> Task:
    """The judged pairs of a split with their pins; JudgmentError when there are none."""
    of_split = judgments.filter(pc.field("split") == split)
    judged = pin_text.filter(pc.is_in(pin_text["pin_id"], of_split["pin_id"].combine_chunks()))
    return from_tables(judgments, judged.to_pylist(), split, most)


def labels_of(settings: StudentTrialSettings, most: int | None = None) -> LabelFiles:
    """The soft labels that may be learnt, or `most` of them by the hashes of their keys: a smaller sample lies in every
    larger one."""
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS, ["query", "split"])
    return find(settings.soft_labels, most, settings.allow_mixed_teachers, held_out_queries(judgments))


def try_cell(cell: Cell, data: StudentData, settings: StudentTrialSettings) -> Tried:
    """Train a cell's student unless that is done, and grade the measured pairs with it."""
    card, is_new = train_once(cell, data, settings)
    student = open_student(cell.folder(settings))
    log.info("%s: %s grades %d pairs", cell.row, student.version, len(data.task.pairs))
    told = student.with_tables(tables_of(student.spec, settings.tables))
    logits_NL = told.grade(data.task.pairs, locales=data.task.judged.locales_N.tolist())
    return Tried(from_logits(logits_NL, student.calibration.calibrated(logits_NL)), card, is_new)


def train_once(cell: Cell, data: StudentData, settings: StudentTrialSettings) -> tuple[StudentCard, bool]:
    """A cell's student and whether it was trained now; the same cell was already done when it was not."""
    weight = cell.settings.human_weight if cell.labels else 1.0
    train_rows = data.judgments.filter(pc.field("split") == "train").slice(0, None if weight else 0)
    human = human_examples(train_rows, data.pin_text, weight)
    dev_rows = data.judgments.filter(pc.field("split") == "dev")
    dev = human_examples(dev_rows, data.pin_text, weight=1.0)
    stamp = f"{cell.labels.stamp} {cell.labels.num_rows}" if cell.labels else ""
    inputs = inputs_of(cell.declared, settings.tables, settings.words)
    said = [
        cell.settings.model_dump_json(),
        towers_content(cell.settings.backbone),
        stamp,
        cell.declared.model_dump_json(),
        settings.words.model_dump_json(),
    ]
    texts = data.pin_text.select(["pin_id", "fingerprint"])
    identity = training_run.identity(said, human, dev, texts, *inputs.content)
    folder = cell.folder(settings)
    if (done := done_cell(folder, identity)) is not None:
        log.info("%s, seed %d: already trained under these settings", cell.row, cell.settings.seed)
        return done, False
    if cell.settings.num_workers:
        connect(settings.cluster)
    folder.parent.mkdir(parents=True, exist_ok=True)
    teachers = list(cell.labels.teachers) if cell.labels else []
    lineage = {"teacher": teachers, "row": cell.row, "code": code_version(), IDENTITY: identity}
    labels = Labels(cell.labels, settings.max_quarantined_share) if cell.labels else None
    sealing = Sealing(task_of(dev_rows, data.pin_text, "dev", None) if dev_rows.num_rows else None)
    card = train(human, dev, data.pin_text, cell.settings, "student", str(folder), lineage, labels, sealing, inputs)
    return card, True


def done_cell(folder: Path, identity: str) -> StudentCard | None:
    """The card of the student that a run of this identity has published in the folder, or None."""
    try:
        card = read_card(folder)
    except ModelError:  # none, or one that another version wrote: it is trained again
        return None
    return card if card.lineage.get(IDENTITY) == identity else None


def try_rows(
    rows: Mapping[str, Cell], data: StudentData, settings: StudentTrialSettings
) -> dict[str, dict[int, Tried]]:
    """Every row under every seed: row → seed → what came out."""
    found: dict[str, dict[int, Tried]] = {}
    for number, (row, cell) in enumerate(rows.items()):
        found[row] = {}
        for seed in settings.seeds:
            log.info("row %d of %d: %s, seed %d", number + 1, len(rows), row, seed)
            seeded = replace(cell, settings=cell.settings.model_copy(update={"seed": seed}))
            found[row][seed] = try_cell(seeded, data, settings)
    return found


def measured(
    tried: Mapping[str, Mapping[int, Tried]], task: Task, pairs: Integers, settings: StudentTrialSettings
) -> Measures:
    """Every metric of every row on some of the measured pairs: its mean over the seeds.

    A resample draws queries and, where there are several, seeds: all rows the same, so that rows can be compared
    resample by resample, and an interval holds what another seed would have changed.
    """
    judged = task.judged.take(pairs)
    by_seed = [
        measure_rows(judged, {row: found[seed].graded.take(pairs) for row, found in tried.items()}, settings.bootstrap)
        for seed in settings.seeds
    ]
    return mean_over_seeds(by_seed, settings.bootstrap)


def mean_over_seeds(by_seed: Sequence[Measures], settings: BootstrapSettings) -> Measures:
    """The measures of each seed as one, resampled as `measured` says."""
    draws_RS = significance.resamples(len(by_seed), settings.num_resamples, settings.seed + 1) / len(by_seed)
    return {
        row: {metric: _mean([each[row][metric] for each in by_seed], draws_RS) for metric in metrics}
        for row, metrics in by_seed[0].items()
    }


def _mean(found: Sequence[Measured], draws_RS: np.ndarray) -> Measured:
    values_RS = np.stack([each.values_R for each in found], axis=1)
    drawn_RS = np.where(draws_RS > 0, values_RS * draws_RS, 0.0)  # a seed that is not drawn does not count, even as nan
    return Measured(float(np.mean([each.value for each in found])), drawn_RS.sum(axis=1))


def facts_of(tried: Mapping[int, Tried]) -> Facts:
    """What a row's table says of its students: how much they learnt from."""
    card = next(iter(tried.values())).card
    learnt = int(card.lineage["num_soft_labels"]) + int(card.lineage["num_judgments"])
    return Facts(version=", ".join(each.card.version for each in tried.values()), train_pairs=learnt)


def warnings(settings: StudentTrialSettings) -> tuple[str, ...]:
    """What a reader of the report must know whatever the rows are."""
    return ((ON_DEV,) if settings.split == "dev" else ()) + (
        (GENERATED,) if exists(f"{settings.tables}/{MARK}") else ()
    )


def trained(tried: Mapping[str, Mapping[int, Tried]]) -> dict[str, list[str]]:
    """Which cells were trained now, and which were done, for the summary."""
    cells = [(f"{row}, seed {seed}", each.is_new) for row, found in tried.items() for seed, each in found.items()]
    return {
        "trained": [name for name, is_new in cells if is_new],
        "not_trained": [name for name, is_new in cells if not is_new],
    }
