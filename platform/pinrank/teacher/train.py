"""Fine-tuning the teacher on human levels with Ray Train.

The epoch whose dev ranking is best (pinrank.evaluation.dev) is merged, calibrated and published. While a run lasts,
its state lies beside the folder that it shall fill, under a name that depends on all that decides its result: the same
command goes on where a killed one stopped, another command starts anew.
"""

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pinrank import training_run
from pinrank.backbones import refuse_foreign_code
from pinrank.durable import put_folder_in_place, refuse_other_content
from pinrank.model_card import CARD
from pinrank.teacher.card import TeacherCard, read_card
from pinrank.teacher.run import PUBLISHED, TrainingRun
from pinrank.teacher.settings import TeacherSettings
from pinrank.tracking import OFF, TrackingSettings, tracked

log = logging.getLogger(__name__)

EXAMPLES_FILE = "examples.parquet"


def train(
    examples: pa.Table,
    settings: TeacherSettings,
    name: str,
    folder: str,
    lineage: dict[str, Any],
    tracking: TrackingSettings = OFF,
) -> TeacherCard:
    """Train on the rows whose split is train, choose the epoch on those of dev, publish to `folder`.

    `examples` has the columns of pinrank.teacher.examples.EXAMPLES. Needs a Ray session unless
    settings.num_workers is 0, and on several machines a `folder` that all of them see. Raises ModelError when training
    fails, TableError when `folder` holds other things, CommitError when another process trains into it; nothing is
    published then.
    """
    from pinrank.teacher.model import backbone_family

    refuse_foreign_code(settings.backbone, settings.allow_auto_map)
    target = Path(folder).absolute()
    refuse_other_content(target, CARD)
    identity = identity_of(examples, settings, name)
    with training_run.run_folder(target, identity) as work:
        if (work / training_run.CHECKPOINT).exists():
            log.info("going on with the training run in %s", work)
        pq.write_table(examples, work / EXAMPLES_FILE)
        run = TrainingRun(
            name=name,
            settings=settings,
            pooling=settings.pooling or backbone_family(settings.backbone).pooling,
            examples=work / EXAMPLES_FILE,
            folder=work,
            lineage=lineage,
            tracked=tracked(tracking, identity, name, target, work, settings),
        )
        training_run.fit(_work, run.model_dump(mode="json"), "teacher", settings, work, folder)
        put_folder_in_place(work / PUBLISHED, target)
    return read_card(folder)


def identity_of(examples: pa.Table, settings: TeacherSettings, name: str) -> str:
    """16 hex digits that change with the examples, the settings, the name and pinrank's version."""
    return training_run.identity([name, settings.model_dump_json()], examples)


def _work(run: dict[str, Any]) -> None:
    """What a worker does. Ray Train's controller opens this function too, and needs no model's code for it."""
    from pinrank.teacher.loop import train_worker

    train_worker(run)
