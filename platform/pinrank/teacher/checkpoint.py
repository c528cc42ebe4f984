"""A training run on disk, so that a kill at any moment costs the steps since the last checkpoint and nothing else.

checkpoint.safetensors  how far the run is, the weights that are trained, the optimiser; replaced in one rename
best-EPOCH.safetensors  weights and dev logits of the best epoch so far; in place before the checkpoint says so
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pinrank.durable import put_in_place
from pinrank.training_run import CHECKPOINT

DEV_LOGITS = "pinrank.dev_logits"

STATE = "state"
"""What of a checkpoint is no tensor, as JSON, in the metadata of its file."""


@dataclass
class Progress:
    """How far a run is: steps and epochs done, the best epoch (1, 2, ...; 0: none yet) and its dev figures."""

    step: int = 0
    epochs_done: int = 0
    best_epoch: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)


def trained_weights(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that training changes, by name; on the CPU."""
    return {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def load_trained(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put weights of `trained_weights` back in their place."""
    places = dict(module.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            places[name].copy_(weight)


def save(folder: Path, progress: Progress, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Replace the checkpoint by the present state."""
    told = torch.optim.Optimizer.state_dict(optimizer)  # bitsandbytes' own hides tensors a level deeper
    tensors = {f"weights/{name}": weight for name, weight in trained_weights(module).items()}
    numbers: dict[str, dict[str, Any]] = {}
    for parameter, of_parameter in told["state"].items():
        for name, value in of_parameter.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{parameter}/{name}"] = value.detach().cpu().contiguous()
            else:
                numbers.setdefault(str(parameter), {})[name] = value
    state = {"progress": asdict(progress), "groups": told["param_groups"], "numbers": numbers}
    staging = folder / f".{CHECKPOINT}.tmp"
    save_file(tensors, staging, {STATE: json.dumps(state)})
    put_in_place(staging, folder / CHECKPOINT)


def resume(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the last checkpoint into module and optimiser; a fresh Progress where there is none."""
    path = folder / CHECKPOINT
    if not path.exists():
        return Progress()
    with safe_open(path, framework="pt") as file:
        state = json.loads(file.metadata()[STATE])
    tensors = load_file(path)
    weights = {name.removeprefix("weights/"): each for name, each in tensors.items() if name.startswith("weights/")}
    of_parameters: dict[int, dict[str, Any]] = {int(number): dict(each) for number, each in state["numbers"].items()}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, parameter, kind = name.split("/")
            of_parameters.setdefault(int(parameter), {})[kind] = tensor
    load_trained(module, weights)
    optimizer.load_state_dict({"state": of_parameters, "param_groups": state["groups"]})
    return Progress(**state["progress"])


def keep_best(folder: Path, epoch: int, module: nn.Module, dev_logits_NL: Tensor) -> None:
    """Write the weights of an epoch beside the best so far; `drop_others` comes after the checkpoint names it."""
    staging = folder / ".best.tmp"
    save_file(trained_weights(module) | {DEV_LOGITS: dev_logits_NL.contiguous()}, staging)
    put_in_place(staging, _best(folder, epoch))


def drop_others(folder: Path, epoch: int) -> None:
    """Remove the weights of epochs that are not the best."""
    for path in folder.glob("best-*.safetensors"):
        if path != _best(folder, epoch):
            path.unlink()


def load_best(folder: Path, epoch: int, module: nn.Module) -> Tensor:
    """Put the best epoch's weights into the module; returns its dev logits."""
    weights = load_file(_best(folder, epoch))
    dev_logits_NL: Tensor = weights.pop(DEV_LOGITS)
    load_trained(module, weights)
    return dev_logits_NL


def _best(folder: Path, epoch: int) -> Path:
    return folder / f"best-{epoch}.safetensors"
