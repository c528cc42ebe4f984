"""Fine-tuning the teacher on human levels with Ray Train.

Cross-entropy on the five levels. The epoch whose dev ranking is best (pinrank.evaluation.dev) is published.
"""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ray.train import CheckpointConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2.api.exceptions import TrainingFailedError
from safetensors.torch import load_model
from transformers import AutoConfig

from pinrank.backbones import resolve
from pinrank.errors import ModelError
from pinrank.teacher.export import TeacherCard, publish
from pinrank.teacher.loop import WEIGHTS, train_worker
from pinrank.teacher.model import Pooling, Teacher, open_backbone, pooling_of
from pinrank.teacher.settings import TeacherSettings


def train(
    examples: pa.Table, settings: TeacherSettings, name: str, folder: str, lineage: dict[str, Any]
) -> TeacherCard:
    """Train on the rows whose split is train, choose the epoch on those of dev, publish to `folder`.

    `examples` has the columns of pinrank.teacher.examples.EXAMPLES. Needs a Ray session. Raises ModelError when
    training fails; nothing is published then.
    """
    pooling = settings.pooling or pooling_of(AutoConfig.from_pretrained(resolve(settings.backbone)).model_type)
    with tempfile.TemporaryDirectory(prefix="pinrank-teacher-") as work:
        teacher, metrics = _fit(examples, settings, pooling, work, folder)
    card = {
        "backbone": settings.backbone,
        "pooling": pooling,
        "head": settings.head,
        "text": settings.text,
        "metrics": metrics,
        "lineage": lineage | {"training": settings.model_dump(mode="json")},
    }
    return publish(teacher, name, card, folder)


def _fit(
    examples: pa.Table, settings: TeacherSettings, pooling: Pooling, work: str, folder: str
) -> tuple[Teacher, dict[str, float]]:
    """Run Ray Train in the folder `work`; the best epoch's teacher and its dev figures."""
    pq.write_table(examples, f"{work}/examples.parquet")
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={
            "settings": settings.model_dump(mode="json"),
            "pooling": pooling,
            "examples": f"{work}/examples.parquet",
        },
        scaling_config=ScalingConfig(
            num_workers=settings.num_workers,
            use_gpu=settings.use_gpu,
            resources_per_worker={"CPU": settings.cpus_per_worker},
        ),
        run_config=RunConfig(
            name="teacher",
            storage_path=work,
            checkpoint_config=CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="dev_spearman"),
        ),
    )
    try:
        result = trainer.fit()
    except TrainingFailedError as cause:
        reason = " ".join(str(cause).split())
        raise ModelError(f"{folder}: training failed, nothing was published: {reason[-600:]}") from cause
    best, metrics = max(result.best_checkpoints, key=lambda found: found[1]["dev_spearman"])
    teacher = Teacher(open_backbone(settings.backbone), pooling, settings.head)
    with best.as_directory() as checkpoint:
        load_model(teacher, str(Path(checkpoint) / WEIGHTS))
    return teacher, {name: float(value) for name, value in metrics.items()}
