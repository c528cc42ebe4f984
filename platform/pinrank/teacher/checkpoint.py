"""A training run on disk, so that a kill at any moment costs the steps since the last checkpoint and nothing else.

checkpoint.pt           how far the run is, the weights that are trained, the optimiser; replaced in one rename
best-EPOCH.safetensors  weights and dev logits of the best epoch so far; in place before checkpoint.pt says so
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pinrank.durable import put_in_place
from pinrank.training_run import CHECKPOINT

DEV_LOGITS = "pinrank.dev_logits"


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
    state = {"progress": asdict(progress), "weights": trained_weights(module), "optimizer": optimizer.state_dict()}
    staging = folder / f".{CHECKPOINT}.tmp"
    torch.save(state, staging)
    put_in_place(staging, folder / CHECKPOINT)


def resume(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the last checkpoint into module and optimiser; a fresh Progress where there is none."""
    state = _read(folder)
    if state is None:
        return Progress()
    load_trained(module, state["weights"])
    optimizer.load_state_dict(state["optimizer"])
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


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / CHECKPOINT
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None
