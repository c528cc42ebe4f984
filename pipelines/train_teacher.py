"""Fine-tune the teacher on human judgments, or without any make a generative model the judge.

    python -m pipelines.train_teacher --config pipelines/configs/demo/train_teacher.yaml
    python -m pipelines.train_teacher --config pipelines/configs/demo/train_teacher.yaml --teacher.epochs 1
    python -m pipelines.train_teacher --teacher.kind judge --teacher.backbone MODEL --output runs/demo/judge

in : judgments/ (train and dev; test is never read into training)  pin_text/  weak_labels/ (where it is named: learnt
     before the judgments, e.g. what pipelines.grade_weakly or a larger teacher gave); a judge needs none of them
out: teacher/  a folder that Hugging Face, sentence-transformers and vLLM open, with card.json; of a judge, card.json
               and the guideline alone: its model stays where it is
"""

import logging
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from pinrank.cluster import ClusterSettings, connect
from pinrank.durable import MountedFolder
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.soft_labels import read_labels
from pinrank.tables import JUDGMENTS, PIN_TEXT, read
from pinrank.teacher.examples import judged_examples, weak_examples
from pinrank.teacher.judge import publish_judge
from pinrank.teacher.settings import TeacherSettings
from pinrank.teacher.train import train
from pinrank.tracking import TrackingSettings
from pinrank.unseen import held_out_queries

log = logging.getLogger(__name__)


class TrainTeacher(JobSettings):
    """Settings of train_teacher."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: judgments and pin_text")
    output: MountedFolder = Field(Path("runs/demo/teacher"), description="the teacher's folder; an older is replaced")
    name: str = Field("teacher", description="the teacher's name; its version is NAME@HASH")
    weak_labels: str | None = Field(None, description="table of soft labels to learn from before the judgments")
    teacher: TeacherSettings = TeacherSettings()
    max_pairs_per_source: int | None = Field(None, ge=1, description="cap on train pairs of one source")
    max_dev_pairs_per_source: int | None = Field(None, ge=1, description="cap on dev pairs of one source")
    tracking: TrackingSettings = Field(TrackingSettings(), description="where the course of the training is kept")
    cluster: ClusterSettings = ClusterSettings()


def main(settings: TrainTeacher) -> Summary:
    """Read, train, publish; a judge is only published."""
    if settings.teacher.kind == "judge":
        judge = publish_judge(settings.teacher, settings.name, str(settings.output))
        return Summary(rows_in=0, rows_out=0, details={"teacher": judge.version, "model": judge.backbone})
    judgments = read(f"{settings.tables}/judgments", JUDGMENTS)
    pin_text = read(f"{settings.tables}/pin_text", PIN_TEXT)
    limits = (settings.max_pairs_per_source, settings.max_dev_pairs_per_source)
    examples = judged_examples(judgments, pin_text, settings.teacher.text, *limits)
    log.info("training on %d of %d judged pairs", examples.num_rows, judgments.num_rows)
    rows_in = judgments.num_rows
    if settings.weak_labels:
        held_out = held_out_queries(judgments)
        weak = weak_examples(read_labels(settings.weak_labels), pin_text, settings.teacher.text, held_out)
        log.info("and first on %d weakly graded pairs", weak.num_rows)
        examples, rows_in = pa.concat_tables([weak, examples]), rows_in + weak.num_rows
    if settings.teacher.num_workers:
        connect(settings.cluster)
    lineage = {"tables": settings.tables, "weak_labels": settings.weak_labels, "num_pairs": examples.num_rows}
    card = train(examples, settings.teacher, settings.name, str(settings.output), lineage, settings.tracking)
    return Summary(
        rows_in=rows_in,
        rows_out=examples.num_rows,
        details={"teacher": card.version, "metrics": card.metrics},
    )


if __name__ == "__main__":
    run(main, TrainTeacher)
