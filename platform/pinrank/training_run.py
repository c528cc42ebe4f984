"""A training run on Ray Train: its state beside the folder that it shall fill, under a name that decides its result.

The same command goes on where a killed one stopped; another command starts anew. Workers write what they publish into
the run's folder, or the reason why there is nothing to publish.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

import pinrank
from pinrank.cluster import KEPT_MEMORY
from pinrank.durable import exclusive
from pinrank.errors import ModelError

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"
"""How far a run is; pinrank.teacher.checkpoint writes it."""

REFUSED = "refused.txt"
"""What a worker writes when training again would only fail again."""

_RAY_FOLDER = "ray"
_NOBODY = "127.0.0.1:9"
_LOCK = ".lock"


class WorkerSettings(Protocol):
    """What of a model's settings says which workers train it."""

    @property
    def num_workers(self) -> int: ...

    @property
    def use_gpu(self) -> bool: ...

    @property
    def cpus_per_worker(self) -> int: ...

    @property
    def retries(self) -> int: ...


def identity(parts: list[str], *data: pa.Table) -> str:
    """16 hex digits that change with the tables, the parts and pinrank's version."""
    lines = "\n".join([pinrank.__version__, *parts])
    digest = hashlib.blake2b(f"{lines}\n".encode(), digest_size=8)
    for table in data:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.combine_chunks())
        digest.update(sink.getvalue())
    return digest.hexdigest()


@contextmanager
def run_folder(target: Path, name: str) -> Iterator[Path]:
    """The folder of the run of an identity that shall fill `target`; removed when the block ends well.

    Raises CommitError when another process trains into `target`; what killed runs of other identities left is removed.
    """
    work = target.with_name(f".{target.name}.training-{name}")
    with exclusive(work / _LOCK):
        for other in target.parent.glob(f".{target.name}.training-*"):
            if other != work:
                with exclusive(other / _LOCK):
                    shutil.rmtree(other)
        shutil.rmtree(work / _RAY_FOLDER, ignore_errors=True)  # or Ray Train would take the run for one of its own
        yield work
        shutil.rmtree(work)


def fit(
    worker: Callable[[dict[str, Any]], None],
    config: Mapping[str, Any],
    name: str,
    settings: WorkerSettings,
    work: Path,
    output: str,
) -> None:
    """Run Ray Train until the workers have published into the run's folder.

    Raises ModelError that names `output` when they failed, or said in REFUSED why they will not publish. Ray Train's
    controller imports the module of `worker` too: one without torch starts it two seconds sooner.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    trainer = TorchTrainer(
        worker,
        train_loop_config=dict(config),
        scaling_config=ScalingConfig(
            num_workers=settings.num_workers,
            use_gpu=settings.use_gpu,
            resources_per_worker={"CPU": settings.cpus_per_worker},
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(work / _RAY_FOLDER),
            worker_runtime_env={"env_vars": KEPT_MEMORY},
            failure_config=FailureConfig(max_failures=settings.retries),
        ),
    )
    try:
        with dashboard_told():
            trainer.fit()
    except TrainingFailedError as cause:
        reason = " ".join(str(cause).split())
        raise ModelError(f"{output}: training failed, nothing was published: {reason[-600:]}") from cause
    if (refused := work / REFUSED).exists():
        reason = refused.read_text()
        shutil.rmtree(work)
        raise ModelError(f"{output}: {reason}")


@contextmanager
def dashboard_told() -> Iterator[None]:
    """Tell the actors that Ray Train starts meanwhile where their Ray's dashboard answers.

    One of them asks it all the time whether the controller lives, and in Ray 2.60 leaves it to the client to look for
    the address. Where /tmp/ray still names a Ray that was killed, each question waits for that one, and every training
    ended fourteen seconds late. Without a dashboard they are told a port at which nobody listens, which is known at
    once.
    """
    import ray
    from ray._private.worker import get_dashboard_url
    from ray.train.v2._internal.constants import ENV_VARS_TO_PROPAGATE

    name = "RAY_API_SERVER_ADDRESS"
    if not ray.is_initialized() or name in os.environ:  # this process trains alone; or somebody has said it
        yield
        return
    os.environ[name] = f"http://{get_dashboard_url() or _NOBODY}"
    ENV_VARS_TO_PROPAGATE.add(name)
    try:
        yield
    finally:
        ENV_VARS_TO_PROPAGATE.discard(name)
        del os.environ[name]
