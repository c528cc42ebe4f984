"""Distil the student from the teacher's soft labels, with human grades beside them.

    python -m pipelines.train_student --config pipelines/configs/demo/train_student.yaml
    python -m pipelines.train_student --config pipelines/configs/demo/train_student.yaml --student.epochs 1
    ray job submit --working-dir . --runtime-env runtime_env.yaml -- \\
        python -m pipelines.train_student --config pipelines/configs/full/train_student.yaml

in : soft_labels/   query, pin_id, logits float32[5] (L1..L5), teacher, fingerprint
     pin_text/      pin_id, the seven text fields, fingerprint
     judgments/     query, pin_id, level, split (train: learnt from; dev: chooses the epoch; test: never read)
out: student/       encoder/, ranker.safetensors, feature_spec.json, lexical.safetensors, calibration.json, card.json,
                    manifest.json;
                    quarantine/ with the soft labels that could not be used
"""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pinrank import parquet, tables
from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.evaluation.task import Task, from_tables
from pinrank.faults import refuse_too_many
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.sampling.by_source import capped_by_source
from pinrank.soft_labels import read_labels
from pinrank.student.examples import human_examples, soft_examples
from pinrank.student.lineage import lineage_of
from pinrank.student.onnx import Format
from pinrank.student.publish import Sealing
from pinrank.student.settings import StudentSettings
from pinrank.student.train import train

log = logging.getLogger(__name__)


class TrainStudent(JobSettings):
    """Settings of train_student."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: judgments and pin_text")
    soft_labels: str = Field("runs/demo/soft_labels", description="table soft_labels: the teacher's grades")
    teacher: str | None = Field(
        None,
        description="folder of the teacher that graded, for a judge's guideline in the lineage; null: not known",
    )
    output: MountedFolder = Field(Path("runs/demo/student"), description="the student's folder; an older is replaced")
    name: str = Field("student", description="the student's name; its version is NAME@HASH")
    student: StudentSettings = Field(StudentSettings(), description="what the student is and how it is trained")
    onnx: tuple[Format, ...] = Field(
        (), description="fp32 and int8: also publish the query tower as ONNX, where dev does not speak against it"
    )
    max_soft_labels: int | None = Field(None, ge=1, description="learn from the first so many labels by pair key")
    max_judgments_per_source: int | None = Field(None, ge=1, description="cap on human train rows of one source")
    max_dev_pairs_per_source: int | None = Field(None, ge=1, description="cap on dev rows of one source")
    max_quarantined_share: float = Field(0.01, ge=0, le=1, description="fail when more labels cannot be used")
    cluster: ClusterSettings = Field(ClusterSettings(), description="the local Ray session, if any")


def main(settings: TrainStudent) -> Summary:
    """Read, join, train, publish."""
    soft_labels = first_by_key(read_labels(settings.soft_labels), settings.max_soft_labels)
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT)
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
    soft, unusable, faults = soft_examples(soft_labels, pin_text, settings.student.temperature, settings.soft_labels)
    refuse_too_many(faults, soft_labels.num_rows, settings.max_quarantined_share, settings.soft_labels)
    learning = [soft]
    if settings.student.human_weight:
        human = of_split(judgments, "train", settings.max_judgments_per_source)
        learning.append(human_examples(human, pin_text, settings.student.human_weight))
    dev = human_examples(of_split(judgments, "dev", settings.max_dev_pairs_per_source), pin_text, weight=1.0)
    log.info("learning from %d soft labels and %d judgments", soft.num_rows, sum(t.num_rows for t in learning[1:]))
    connect(settings.cluster)
    num_judgments = sum(table.num_rows for table in learning[1:])
    lineage = lineage_of(soft_labels, settings.soft_labels, judgments, settings.teacher) | {
        "soft_labels": settings.soft_labels,
        "num_soft_labels": soft.num_rows,
        "num_judgments": num_judgments,
    }
    examples = pa.concat_tables(learning)
    sealing = Sealing(dev_pairs(judgments, pin_text, settings.max_dev_pairs_per_source), settings.onnx)
    card = train(examples, dev, pin_text, settings.student, settings.name, str(settings.output), lineage, sealing)
    if unusable.num_rows:
        parquet.write_folder(unusable, f"{settings.output}/quarantine/soft_labels")
    return Summary(
        rows_in=soft_labels.num_rows,
        rows_out=soft.num_rows,
        quarantined=unusable.num_rows,
        details={"student": card.version, "metrics": card.metrics, "judgments": num_judgments},
    )


def of_split(judgments: pa.Table, split: str, most: int | None) -> pa.Table:
    """The judgments of a split, at most so many of each source."""
    return capped_by_source(judgments.filter(pc.field("split") == split), most)


def dev_pairs(judgments: pa.Table, pin_text: pa.Table, most: int | None) -> Task | None:
    """The dev judgments with their pins, as evaluation reads them; None where there are none."""
    dev = judgments.filter(pc.field("split") == "dev")
    if not dev.num_rows:
        return None
    judged_pins = pin_text.filter(pc.is_in(pin_text["pin_id"], dev["pin_id"].combine_chunks()))
    return from_tables(dev, judged_pins.to_pylist(), "dev", most)


def first_by_key(soft_labels: pa.Table, most: int | None) -> pa.Table:
    """The labels with the smallest pair keys, which are hashes: the same sample whatever the order of rows."""
    ordered = soft_labels.sort_by("pair_key")
    return ordered if most is None else ordered.slice(0, most)


if __name__ == "__main__":
    run(main, TrainStudent)
