"""Queue the pairs on which annotators, teacher and student disagree most, as tasks for Label Studio.

    python -m pipelines.build_review_queue --config pipelines/configs/demo/build_review_queue.yaml
    python -m pipelines.build_review_queue --config pipelines/configs/demo/build_review_queue.yaml --choice.size 500 \\
        --teacher.model runs/demo/teacher

in : tables/             judgments, pins, pin_text
     teacher.labels      soft_labels; teacher.model, where given, grades the pairs that they lack
     student.labels      a student's grades in the same form, or student.model, which grades the pairs
out: OUTPUT/tasks.json        one task a pair: query, the pin's text fields, image_url, the models' predictions
     OUTPUT/label_config.xml  the labelling page for five levels
     OUTPUT/guideline.md      what the levels mean
     OUTPUT/quarantine/       grades that could not be used
"""

import logging
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from pinrank import tables
from pinrank.durable import MountedFolder
from pinrank.errors import TableError
from pinrank.keys import hashes
from pinrank.pipeline import JobSettings, Summary, run
from pinrank.review.candidates import Candidates, candidates
from pinrank.review.choice import ChoiceSettings, Disagreement, choose, disagreement
from pinrank.review.label_studio import write
from pinrank.review.tasks import tasks_of
from pinrank.review.voices import Voice, VoiceSettings, read_labels, student_voice, teacher_voice
from pinrank.teacher.score import EngineSettings
from pinrank.text import normalise_query

log = logging.getLogger(__name__)


class BuildReviewQueue(JobSettings):
    """Settings of build_review_queue."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: judgments, pins and pin_text")
    output: MountedFolder = Field(Path("runs/demo/review"), description="tasks, labelling page and guideline go here")
    teacher: VoiceSettings = Field(VoiceSettings(), description="the teacher's grades")
    student: VoiceSettings = Field(VoiceSettings(), description="the student's grades")
    engine: EngineSettings = Field(EngineSettings(), description="how the teacher grades what its labels lack")
    choice: ChoiceSettings = Field(ChoiceSettings(), description="how many pairs, and which")
    splits: tuple[Literal["train", "dev", "test"], ...] = Field(
        ("train", "dev"), description="of judged queries that may be reviewed"
    )
    max_unjudged: int = Field(20_000, ge=0, description="unjudged pairs that are looked at, chosen by hash")
    with_predictions: bool = Field(True, description="show the models' levels in the tasks; blind graders are not led")
    seed: int = Field(0, ge=0, description="of the choice among unjudged pairs, and among pairs as far apart")


def main(settings: BuildReviewQueue) -> Summary:
    """Gather the pairs and every voice, choose those furthest apart, write the tasks."""
    judgments = tables.read(f"{settings.tables}/judgments", tables.JUDGMENTS)
    pin_text = tables.read(f"{settings.tables}/pin_text", tables.PIN_TEXT)
    aside = str(settings.output / "quarantine")
    labels = [
        read_labels(each, name, pin_text, aside)
        for name, each in (("teacher", settings.teacher), ("student", settings.student))
    ]
    pin_ids = pin_text.column("pin_id")
    found = candidates(judgments, labels, pin_ids, settings.splits, settings.max_unjudged, settings.seed)
    voices = hear(found, labels, pin_text, settings)
    apart = disagreement(
        found.lowest_P,
        found.highest_P,
        found.num_annotators_P > 1,
        **{voice.name: voice.expected_levels for voice in voices},
    )
    rows = chosen(found, apart, settings)
    if not len(rows):
        raise TableError(
            f"{settings.tables}: of {found.pairs.num_rows} pairs none has two grades {settings.choice.min_gap:g} "
            "levels apart. Name soft_labels (--teacher.labels), a student (--student.model), or lower --choice.min_gap."
        )
    pins = tables.read(f"{settings.tables}/pins", tables.PINS, ["pin_id", "image_url"]).to_pylist()
    images = {pin["pin_id"]: pin["image_url"] or "" for pin in pins}
    files = write(
        tasks_of(rows, found, apart, voices if settings.with_predictions else (), pin_text, images), settings.output
    )
    details = {
        "strata": dict(Counter(found.strata[rows].tolist())),
        "between": dict(Counter(apart.between_P[rows].tolist())),
        "pairs_of_one_voice": int(np.isnan(apart.gap_P).sum()),
        "graded_now": {voice.name: voice.num_graded_now for voice in voices},
        **found.left_out,
        "files": files,
    }
    return Summary(found.pairs.num_rows, len(rows), details=details)


def hear(
    found: Candidates, labels: list[pa.Table], pin_text: pa.Table, settings: BuildReviewQueue
) -> tuple[Voice, Voice]:
    """What teacher and student say of the candidates."""
    pins = {row["pin_id"]: row for row in pin_text.to_pylist()}
    pairs = zip(found.pairs.column("query").to_pylist(), found.pairs.column("pin_id").to_pylist(), strict=True)
    texts = [(query, pins[pin_id]) for query, pin_id in pairs]
    return (
        teacher_voice(settings.teacher, labels[0], found.pairs, texts, settings.engine),
        student_voice(settings.student, labels[1], found.pairs, texts, settings.tables),
    )


def chosen(found: Candidates, apart: Disagreement, settings: BuildReviewQueue) -> np.ndarray:
    """The rows of the queued pairs, the furthest apart first."""
    queries = np.asarray([normalise_query(query) for query in found.pairs.column("query").to_pylist()], dtype=np.str_)
    order = hashes(found.pairs.column("pair_key").to_pylist(), settings.seed)
    return choose(apart.gap_P, found.strata, queries, order, settings.choice)


if __name__ == "__main__":
    run(main, BuildReviewQueue)
