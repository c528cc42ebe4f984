"""The course of a training, kept: JSON lines beside its output, and MLflow where a URI is set.

    runs/demo/student.training.jsonl
    {"run": "3f2a...", "model": "student", "settings_hash": "9c01...", "settings": {...}, "steps": 480, ...}
    {"run": "3f2a...", "step": 25, "epoch": 1, "loss": 0.71, "samples_per_second": 212.4, ...}
    {"run": "3f2a...", "step": 160, "epoch": 1, "dev_loss": 0.93, "dev_spearman": 0.61, ...}
    {"run": "3f2a...", "ended": "finished", ...}

`run` is the training's identity: what decides its result. A run that was killed and goes on has another first line
with `from_step`, where it went on; steps that it takes once more stand twice, and the later ones count.
"""

import hashlib
import importlib.util
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

import pinrank
from pinrank.errors import SettingsError

log = logging.getLogger(__name__)

Ending = Literal["finished", "failed"]

_RUN_ID = "mlflow_run"
_PARAMS_A_CALL = 100
"""What MLflow takes in one call."""


class TrackingSettings(BaseModel):
    """Where the course of a training is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: bool = Field(True, description="write loss, samples/s and dev metrics to OUTPUT.training.jsonl")
    mlflow_uri: str | None = Field(
        None, description="and to MLflow: a server's http address, or sqlite:///FILE; null: not"
    )
    experiment: str = Field("pinrank", min_length=1, description="the name of MLflow's experiment")


OFF = TrackingSettings(lines=False)


class Tracked(BaseModel):
    """What the first worker has to know of a run to keep its course."""

    model_config = ConfigDict(frozen=True)

    where: TrackingSettings
    run: str
    name: str
    lines: Path
    folder: Path
    settings: dict[str, Any]

    @property
    def settings_hash(self) -> str:
        """16 hex digits of the settings alone: the same for the same settings on other data."""
        said = json.dumps(self.settings, sort_keys=True)
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def tracked(where: TrackingSettings, run: str, name: str, target: Path, folder: Path, settings: BaseModel) -> Tracked:
    """A run that shall fill `target` and keeps its state in `folder`. Raises SettingsError where MLflow is missing."""
    if where.mlflow_uri and importlib.util.find_spec("mlflow") is None:
        raise SettingsError(f"tracking.mlflow_uri {where.mlflow_uri}: needs pip install 'pinrank[mlflow]'")
    lines = target.with_name(f"{target.name}.training.jsonl")
    told = settings.model_dump(mode="json")
    return Tracked(where=where, run=run, name=name, lines=lines, folder=folder, settings=told)


class Track(Protocol):
    """One place in which the course of a run is kept."""

    def numbers(self, step: int, numbers: Mapping[str, float]) -> None: ...

    def end(self, how: Ending) -> None: ...


def open_tracks(run: Tracked, model: str, steps: int, from_step: int) -> list[Track]:
    """The places in which a run is kept, from a step on."""
    tracks: list[Track] = []
    if run.where.lines:
        tracks.append(Lines(run, model, steps, from_step))
    if run.where.mlflow_uri:
        tracks.append(MLflow(run, model))
    return tracks


class Lines:
    """JSON lines at the end of a file."""

    def __init__(self, run: Tracked, model: str, steps: int, from_step: int) -> None:
        self._run = run
        self._write(
            model=model,
            name=run.name,
            settings_hash=run.settings_hash,
            settings=run.settings,
            pinrank=pinrank.__version__,
            steps=steps,
            from_step=from_step,
        )

    def numbers(self, step: int, numbers: Mapping[str, float]) -> None:
        """A line with what was measured at a step."""
        self._write(step=step, **numbers)

    def end(self, how: Ending) -> None:
        """The last line."""
        self._write(ended=how)

    def _write(self, **said: Any) -> None:
        line = {"run": self._run.run, "time": round(time.time(), 3), **said}
        with self._run.lines.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")


class MLflow:
    """A run of MLflow, the same one after a kill. What its server does not take is lost, and the training goes on.

    A run that could not be opened is left alone from then on.
    """

    def __init__(self, run: Tracked, model: str) -> None:
        self._client: Any = None
        self._id = ""
        self._safely(lambda: self._open(run, model))

    def numbers(self, step: int, numbers: Mapping[str, float]) -> None:
        """Metrics at a step."""
        if self._client is not None:
            self._safely(lambda: self._log(step, numbers))

    def end(self, how: Ending) -> None:
        """Close the run."""
        if self._client is not None:
            self._safely(lambda: self._client.set_terminated(self._id, how.upper()))

    def _open(self, run: Tracked, model: str) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        client = MlflowClient(tracking_uri=run.where.mlflow_uri)
        before = run.folder / _RUN_ID
        if before.exists():
            self._id = before.read_text()
            client.update_run(self._id, status="RUNNING")
        else:
            self._id = _created(client, run, model)
            before.write_text(self._id)
            params = [Param(name, str(value)) for name, value in flattened(run.settings)]
            for start in range(0, len(params), _PARAMS_A_CALL):
                client.log_batch(self._id, params=params[start : start + _PARAMS_A_CALL])
        self._client = client

    def _log(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now_ms, step) for name, value in numbers.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def _safely(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as cause:  # whatever a server of others does, hours of training are worth more
            log.warning("MLflow did not take it: %s", " ".join(str(cause).split())[:300])


def _created(client: Any, run: Tracked, model: str) -> str:
    """A new run in the experiment, which is made where it is missing."""
    known = client.get_experiment_by_name(run.where.experiment)
    experiment = known.experiment_id if known else client.create_experiment(run.where.experiment)
    tags = {
        "pinrank.run": run.run,
        "pinrank.model": model,
        "pinrank.settings_hash": run.settings_hash,
        "pinrank.version": pinrank.__version__,
    }
    return str(client.create_run(experiment, run_name=run.name, tags=tags).info.run_id)


def flattened(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Settings within settings as `tower.output_dim`."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
