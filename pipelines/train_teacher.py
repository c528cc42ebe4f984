"""Fine-tune the teacher on human judgments.

    python -m pipelines.train_teacher --config pipelines/configs/demo/train_teacher.yaml
    python -m pipelines.train_teacher --config pipelines/configs/demo/train_teacher.yaml --teacher.epochs 1

in : judgments/     query, pin_id, level, split (train and dev are read, test never)
     pin_text/      pin_id, the seven text fields
out: teacher/       a folder that Hugging Face, sentence-transformers and vLLM open, with card.json
"""

import logging

from pydantic import Field

from pinrank import tables
from pinrank.cluster import ClusterSettings, connect
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.teacher.examples import judged_examples
from pinrank.teacher.train import TeacherSettings, train

log = logging.getLogger(__name__)


class TrainTeacher(JobSettings):
    """Settings of train_teacher."""

    judgments: str = Field(description="folder of the judgments table")
    pin_text: str = Field(description="folder of the pin_text table")
    output: str = Field(description="the teacher's folder; an older one is replaced when training ends well")
    name: str = Field("teacher", description="the teacher's name; its version is NAME@HASH")
    teacher: TeacherSettings = TeacherSettings()
    max_pairs_per_source: int | None = Field(None, ge=1, description="cap on train pairs of one source")
    cluster: ClusterSettings = ClusterSettings()


def main(settings: TrainTeacher) -> Summary:
    """Read, train, publish."""
    judgments = tables.read(settings.judgments, tables.JUDGMENTS)
    pin_text = tables.read(settings.pin_text, tables.PIN_TEXT)
    examples = judged_examples(judgments, pin_text, settings.teacher.text, settings.max_pairs_per_source)
    log.info("training on %d of %d judged pairs", examples.num_rows, judgments.num_rows)
    connect(settings.cluster)
    lineage = {"judgments": settings.judgments, "pin_text": settings.pin_text, "num_pairs": examples.num_rows}
    card = train(examples, settings.teacher, settings.name, settings.output, lineage)
    return Summary(
        rows_in=judgments.num_rows,
        rows_out=examples.num_rows,
        details={"teacher": card.version, "metrics": card.metrics},
    )


if __name__ == "__main__":
    run(main, TrainTeacher)
