"""Fine-tuning the teacher on human levels with Ray Train.

The epoch whose dev ranking is best (pinrank.evaluation.dev) is merged, calibrated and published. While a run lasts,
its state lies beside the folder that it shall fill, under a name that depends on all that decides its result: the same
command goes on where a killed one stopped, another command starts anew.
"""

import hashlib
import logging
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2.api.exceptions import TrainingFailedError

import pinrank
from pinrank.backbones import refuse_foreign_code
from pinrank.cluster import KEPT_MEMORY
from pinrank.durable import exclusive, refuse_other_content, replace_folder
from pinrank.errors import ModelError
from pinrank.teacher.checkpoint import CHECKPOINT
from pinrank.teacher.export import CARD, TeacherCard, read_card
from pinrank.teacher.loop import PUBLISHED, REFUSED, TrainingRun, train_worker
from pinrank.teacher.model import backbone_family
from pinrank.teacher.settings import TeacherSettings

log = logging.getLogger(__name__)

EXAMPLES_FILE = "examples.parquet"
RAY_FOLDER = "ray"
LOCK = ".lock"


def train(
    examples: pa.Table, settings: TeacherSettings, name: str, folder: str, lineage: dict[str, Any]
) -> TeacherCard:
    """Train on the rows whose split is train, choose the epoch on those of dev, publish to `folder`.

    `examples` has the columns of pinrank.teacher.examples.EXAMPLES. Needs a Ray session, and on several machines a
    `folder` that all of them see. Raises ModelError when training fails, TableError when `folder` holds other things,
    CommitError when another process trains into it; nothing is published then.
    """
    refuse_foreign_code(settings.backbone, settings.allow_auto_map)
    target = Path(folder).absolute()
    refuse_other_content(target, CARD)
    work = target.with_name(f".{target.name}.training-{identity_of(examples, settings, name)}")
    with exclusive(work / LOCK):
        _remove_other_runs(target, work)
        _prepare(work, examples)
        run = TrainingRun(
            name=name,
            settings=settings,
            pooling=settings.pooling or backbone_family(settings.backbone).pooling,
            examples=work / EXAMPLES_FILE,
            folder=work,
            lineage=lineage,
        )
        _fit(run, folder)
        if (refused := work / REFUSED).exists():
            reason = refused.read_text()
            shutil.rmtree(work)
            raise ModelError(f"{folder}: {reason}")
        replace_folder(work / PUBLISHED, target)
        shutil.rmtree(work)
    return read_card(folder)


def identity_of(examples: pa.Table, settings: TeacherSettings, name: str) -> str:
    """16 hex digits that change with the examples, the settings, the name and pinrank's version."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, examples.schema) as stream:
        stream.write_table(examples.combine_chunks())
    digest = hashlib.blake2b(f"{pinrank.__version__}\n{name}\n{settings.model_dump_json()}\n".encode(), digest_size=8)
    digest.update(sink.getvalue())
    return digest.hexdigest()


def _remove_other_runs(target: Path, work: Path) -> None:
    """Remove what killed runs under other settings left; CommitError when one of them is alive."""
    for other in target.parent.glob(f".{target.name}.training-*"):
        if other != work:
            with exclusive(other / LOCK):
                shutil.rmtree(other)


def _prepare(work: Path, examples: pa.Table) -> None:
    """Put the examples into the run's own folder, which a killed run may have left half done."""
    if (work / CHECKPOINT).exists():
        log.info("going on with the training run in %s", work)
    pq.write_table(examples, work / EXAMPLES_FILE)
    shutil.rmtree(work / RAY_FOLDER, ignore_errors=True)  # or Ray Train would take the run for one of its own


def _fit(run: TrainingRun, folder: str) -> None:
    """Run Ray Train until the workers have published into the run's folder, or say why they will not."""
    settings = run.settings
    trainer = TorchTrainer(
        train_worker,
        train_loop_config=run.model_dump(mode="json"),
        scaling_config=ScalingConfig(
            num_workers=settings.num_workers,
            use_gpu=settings.use_gpu,
            resources_per_worker={"CPU": settings.cpus_per_worker},
        ),
        run_config=RunConfig(
            name="teacher",
            storage_path=str(run.folder / RAY_FOLDER),
            worker_runtime_env={"env_vars": KEPT_MEMORY},
            failure_config=FailureConfig(max_failures=settings.retries),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as cause:
        reason = " ".join(str(cause).split())
        raise ModelError(f"{folder}: training failed, nothing was published: {reason[-600:]}") from cause
