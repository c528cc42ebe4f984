"""Distil the student from the teacher's soft labels, with human grades beside them.

    python -m pipelines.train_student --config pipelines/configs/demo/train_student.yaml
    python -m pipelines.train_student --config pipelines/configs/demo/train_student.yaml --student.epochs 1
    python -m pipelines.train_student --config FILE.yaml --feature_spec feature_spec.yaml     # more than the texts
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.train_student --config pipelines/configs/full/train_student.yaml

in : soft_labels/   query, pin_id, logits float32[5] (L1..L5), weight, teacher, fingerprint; any number of folders
     pin_text/      pin_id, the seven text fields, fingerprint
     judgments/     query, pin_id, level, split (train: learnt from; dev: chooses the epoch; test: never read)
     query_features/ pin_features/ pair_features/ external_embeddings/     as far as feature_spec names them
     lexical/       with --lexical: the statistics that fit_lexical made of pin_text
out: student/       encoder/, ranker.safetensors, feature_spec.json, lexical.safetensors, calibration.json, card.json,
                    manifest.json;
                    quarantine/ with the soft labels that could not be used
Safe to kill at any point: the same command goes on where it stopped.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field

from pinrank import tables
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.engagement.log_evidence import LogSettings
from pinrank.evaluation.task import Task, from_tables
from pinrank.lexical import WordSettings, collection
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.sampling.by_source import capped_by_source
from pinrank.search_embedding.engaged import read_engaged
from pinrank.search_embedding.pairs import examples, texts_of, without_answers
from pinrank.search_embedding.settings import PairSettings
from pinrank.student.declaration import read_declaration
from pinrank.student.examples import human_examples
from pinrank.student.feature_tables import inputs_of
from pinrank.student.label_files import find
from pinrank.student.lineage import lineage_of
from pinrank.student.onnx import Format
from pinrank.student.publish import Sealing
from pinrank.student.settings import StudentSettings
from pinrank.student.train import Labels, train
from pinrank.tracking import TrackingSettings
from pinrank.unseen import held_out_queries

log = logging.getLogger(__name__)

Folders = Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]
"""One folder, or several."""


class TrainStudent(JobSettings):
    """Settings of train_student."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: judgments and pin_text")
    soft_labels: Folders = Field(
        ("runs/demo/soft_labels",),
        description="the teacher's grades: folders, each of one job or with a folder a day",
    )
    teacher: str | None = Field(
        None,
        description="folder of the teacher that graded, for a judge's guideline in the lineage; null: not known",
    )
    output: MountedFolder = Field(Path("runs/demo/student"), description="the student's folder; an older is replaced")
    name: str = Field("student", description="the student's name; its version is NAME@HASH")
    student: StudentSettings = Field(StudentSettings(), description="what the student is and how it is trained")
    feature_spec: Path | None = Field(None, description="YAML that names every input; null: what the texts give")
    words: WordSettings = Field(WordSettings(), description="how texts become terms; with lexical, as they did there")
    lexical: Path | None = Field(
        None, description="statistics of pin_text, from fit_lexical; null: its pins are counted here, in one process"
    )
    onnx: tuple[Format, ...] = Field(
        (), description="fp32 and int8: also publish the query tower as ONNX, where dev does not speak against it"
    )
    log: LogSettings = Field(LogSettings(), description="the engagement log, where student.retrieval.weight is set")
    pairs: PairSettings = Field(PairSettings(), description="which engaged pairs are learnt then")
    max_soft_labels: int | None = Field(None, ge=1, description="learn from so many labels, chosen by pair key")
    allow_mixed_teachers: bool = Field(False, description="learn from the labels of several teachers at once")
    max_judgments_per_source: int | None = Field(None, ge=1, description="cap on human train rows of one source")
    max_dev_pairs_per_source: int | None = Field(None, ge=1, description="cap on dev rows of one source")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="fail when more labels cannot be used")
    tracking: TrackingSettings = Field(TrackingSettings(), description="where the course of the training is kept")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: TrainStudent) -> Summary:
    """Look at the labels, read the judgments, train, publish."""
    inputs = inputs_of(read_declaration(settings.feature_spec), settings.tables, settings.words)
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
    held_out = held_out_queries(judgments)
    files = find(settings.soft_labels, settings.max_soft_labels, settings.allow_mixed_teachers, held_out)
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT)
    if settings.lexical:
        inputs = replace(inputs, lexical=collection.open_for(settings.lexical, pin_text, settings.words))
    weight = settings.student.human_weight
    of_train = of_split(judgments, "train", settings.max_judgments_per_source)
    human = human_examples(of_train.slice(0, None if weight else 0), pin_text, weight)
    dev = human_examples(of_split(judgments, "dev", settings.max_dev_pairs_per_source), pin_text, weight=1.0)
    log.info("learning from %d soft labels of %s and %d judgments", files.num_rows, files.teachers, human.num_rows)
    if settings.student.num_workers:
        connect(settings.cluster)
    lineage = lineage_of(files, judgments, settings.teacher)
    labels = Labels(files, settings.max_quarantined_share)
    sealing = Sealing(dev_pairs(judgments, pin_text, settings.max_dev_pairs_per_source), settings.onnx)
    output = str(settings.output)
    engaged = engaged_of(settings, pin_text)
    learnt = (human, dev, pin_text, settings.student, settings.name, output, lineage)
    card = train(*learnt, labels=labels, sealing=sealing, inputs=inputs, engaged=engaged, tracking=settings.tracking)
    return Summary(
        rows_in=files.num_rows,
        rows_out=card.lineage["num_soft_labels"],
        quarantined=card.lineage["num_unusable_labels"],
        details={
            "student": card.version,
            "metrics": card.metrics,
            "judgments": human.num_rows,
            "labels_of_held_out_queries": files.num_held_out,
        },
    )


def of_split(judgments: pa.Table, split: str, most: int | None) -> pa.Table:
    """The judgments of a split, at most so many of each source."""
    return capped_by_source(judgments.filter(pc.field("split") == split), most)


def engaged_of(settings: TrainStudent, pin_text: pa.Table) -> pa.Table | None:
    """What people engaged with, as the second objective reads it; None where that has no weight."""
    if not settings.student.retrieval.weight:
        return None
    engaged, _ = read_engaged(settings.tables, settings.log, settings.pairs, "student_engagement", settings.cluster)
    texts = texts_of(pin_text, without_answers(settings.student.text))
    pairs = examples(engaged, texts, settings.pairs, settings.student.seed)
    log.info("and from %d engaged pairs", pairs.num_rows)
    return pairs


def dev_pairs(judgments: pa.Table, pin_text: pa.Table, most: int | None) -> Task | None:
    """The dev judgments with their pins, as evaluation reads them; None where there are none."""
    dev = judgments.filter(pc.field("split") == "dev")
    if not dev.num_rows:
        return None
    judged_pins = pin_text.filter(pc.is_in(pin_text["pin_id"], dev["pin_id"].combine_chunks()))
    return from_tables(dev, judged_pins.to_pylist(), "dev", most)


if __name__ == "__main__":
    run(main, TrainStudent)
