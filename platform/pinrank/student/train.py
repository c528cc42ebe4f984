"""Distilling the student on Ray Train: two towers end to end and the MLP, from the teacher's soft labels.

Rows come through Ray Data, prepared once. The epoch whose ranking of human dev judgments is best
(pinrank.evaluation.dev) is published.
"""

import logging
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pinrank import lexical
from pinrank.backbones import refuse_foreign_code, resolve
from pinrank.cluster import KEPT_MEMORY
from pinrank.durable import refuse_other_content, replace_folder
from pinrank.errors import ModelError
from pinrank.lexical import LexicalStats
from pinrank.model_card import CARD
from pinrank.student import features
from pinrank.student.batches import Prepare, example_features
from pinrank.student.examples import shuffled
from pinrank.student.export import StudentCard
from pinrank.student.features import FeatureSpec
from pinrank.student.publish import NOT_MEASURED, Sealing, save_student, seal
from pinrank.student.settings import StudentSettings

if TYPE_CHECKING:
    from ray.data import Dataset
    from ray.train import Checkpoint

log = logging.getLogger(__name__)

PUBLISHED = "published"
"""The folder in the run's own that holds the finished student."""

ROWS_PER_CALL = 2048
"""Examples that are tokenised and featurised at once."""

SPEC_SAMPLE = 20_000
"""Pairs from which the normaliser of the features is fitted."""


def train(
    learning: pa.Table,
    dev: pa.Table,
    pin_text: pa.Table,
    settings: StudentSettings,
    name: str,
    folder: str,
    lineage: Mapping[str, Any],
    sealing: Sealing = NOT_MEASURED,
) -> StudentCard:
    """Train on `learning`, choose the epoch on `dev`, publish to `folder`; both tables have the columns of EXAMPLES.

    `dev` holds human grades and may be empty: then the last epoch is published. `pin_text` is the collection whose
    document frequencies BM25 uses; `sealing` says on which dev pairs the published student is calibrated
    and measured. Needs a Ray session, and on several machines a `folder` that all of them see.
    Raises ModelError when training fails; nothing is published then.
    """
    from safetensors.torch import load_model
    from transformers import AutoTokenizer

    from pinrank.student.loop import WEIGHTS, build_student

    refuse_foreign_code(settings.backbone, allow_auto_map=False)
    target = Path(folder).absolute()
    refuse_other_content(target, CARD)
    target.parent.mkdir(parents=True, exist_ok=True)
    learning = shuffled(learning, settings.seed)
    stats = lexical.fit(lexical.field_terms(pin_text.select(list(lexical.READ)).to_pylist()))
    spec = _fit_spec(learning, stats)
    prepared = {"train": _prepare(learning, settings, stats, spec)}
    if dev.num_rows:
        prepared["dev"] = _prepare(dev, settings, stats, spec)
    log.info("prepared %d pairs to learn from and %d of dev", learning.num_rows, dev.num_rows)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as work:
        checkpoint, metrics = _fit(prepared, learning.num_rows, settings, spec, work, folder)
        student = build_student(settings, spec)
        with checkpoint.as_directory() as saved:
            load_model(student, str(Path(saved) / WEIGHTS))
        save_student(
            student,
            AutoTokenizer.from_pretrained(resolve(settings.backbone)),
            spec,
            stats,
            Path(work, PUBLISHED),
            name=name,
            backbone=settings.backbone,
            text=settings.text,
            metrics=metrics,
            lineage={**lineage, "training": settings.model_dump(mode="json")},
        )
        card = seal(Path(work, PUBLISHED), sealing)
        replace_folder(Path(work, PUBLISHED), target)
    return card


def _fit_spec(learning: pa.Table, stats: LexicalStats) -> FeatureSpec:
    sample = learning.slice(0, SPEC_SAMPLE)
    rows = sample.select(list(lexical.READ)).to_pylist()
    return features.fit(example_features(sample["query"].to_pylist(), rows, stats))


def _prepare(examples: pa.Table, settings: StudentSettings, stats: LexicalStats, spec: FeatureSpec) -> "Dataset":
    """Tokenise and featurise once; every epoch then reads the result from shared memory."""
    import ray.data

    num_blocks = math.ceil(examples.num_rows / ROWS_PER_CALL)
    prepared = ray.data.from_arrow(examples, override_num_blocks=num_blocks).map_batches(
        Prepare,
        fn_constructor_args=(settings.backbone, settings.text, stats, spec),
        batch_format="pyarrow",
        batch_size=None,
        concurrency=1,
    )
    prepared.context.enable_progress_bars = False
    return prepared.materialize()


def _fit(
    prepared: "dict[str, Dataset]",
    num_rows: int,
    settings: StudentSettings,
    spec: FeatureSpec,
    work: str,
    folder: str,
) -> "tuple[Checkpoint, dict[str, float]]":
    """Run Ray Train; the best epoch's checkpoint and metrics."""
    from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "settings": settings.model_dump(mode="json"),
            "spec": spec.model_dump(mode="json"),
            "num_rows": num_rows,
            "has_dev": "dev" in prepared,
        },
        datasets=prepared,
        dataset_config=DataConfig(datasets_to_split=["train"]),
        scaling_config=ScalingConfig(
            num_workers=settings.num_workers,
            use_gpu=settings.use_gpu,
            resources_per_worker={"CPU": settings.cpus_per_worker},
        ),
        run_config=RunConfig(
            name="student",
            storage_path=work,
            checkpoint_config=CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="quality"),
            worker_runtime_env={"env_vars": KEPT_MEMORY},
            failure_config=FailureConfig(max_failures=settings.retries),
        ),
    )
    try:
        result = trainer.fit()
    except TrainingFailedError as cause:
        reason = " ".join(str(cause).split())
        raise ModelError(f"{folder}: training failed, nothing was published: {reason[-600:]}") from cause
    best, metrics = max(result.best_checkpoints, key=lambda found: found[1]["quality"])
    return best, {name: float(value) for name, value in metrics.items() if name != "quality"}


def _work(config: dict[str, Any]) -> None:
    """What a worker does. Ray Train's controller opens this function too, and needs no model's code for it."""
    from pinrank.student.loop import train_worker

    train_worker(config)
