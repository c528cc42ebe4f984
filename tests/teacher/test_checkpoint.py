"""A run goes on from its checkpoint as if it had never stopped."""

from pathlib import Path

import pytest
import torch
from bitsandbytes.optim import PagedAdamW32bit
from torch import nn

from pinrank.teacher import checkpoint
from pinrank.teacher.checkpoint import Progress


def model(seed: int) -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    module = nn.Linear(3, 2)
    module.bias.requires_grad = False  # as the frozen weights under LoRA
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    return module, torch.optim.AdamW([{"params": trained, "lr": 0.1, "name": "all"}], betas=(0.8, 0.99))


def step(module: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    torch.manual_seed(number)
    module(torch.randn(4, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_the_next_steps_are_those_of_a_run_that_never_stopped(tmp_path: Path) -> None:
    module, optimizer = model(0)
    for number in range(3):
        step(module, optimizer, number)
    reached = Progress(step=3, epochs_done=1, best_epoch=1, best_metrics={"dev_spearman": 0.1 + 0.2})
    checkpoint.save(tmp_path, reached, module, optimizer)

    again, its_optimizer = model(1)
    with torch.no_grad():
        again.bias.copy_(module.bias)
    assert checkpoint.resume(tmp_path, again, its_optimizer) == reached
    for number in range(3, 6):
        step(module, optimizer, number)
        step(again, its_optimizer, number)
    assert torch.equal(module.weight, again.weight)


def test_what_bitsandbytes_hides_from_others_is_kept(tmp_path: Path) -> None:
    def paged(seed: int) -> tuple[torch.optim.Optimizer, nn.Parameter]:
        torch.manual_seed(seed)
        weight = nn.Parameter(torch.randn(2, 3))
        return PagedAdamW32bit([weight]), weight

    optimizer, weight = paged(0)
    optimizer.state[weight] = {"step": 7, "state1": torch.full((2, 3), 0.5), "state2": torch.full((2, 3), 0.25)}
    checkpoint.save(tmp_path, Progress(step=7), nn.ParameterDict({"weight": weight}), optimizer)
    again, its_weight = paged(1)
    checkpoint.resume(tmp_path, nn.ParameterDict({"weight": its_weight}), again)
    found = again.state[its_weight]
    assert found["step"] == 7
    assert (found["state1"].unique().tolist(), found["state2"].unique().tolist()) == ([0.5], [0.25])
    assert torch.equal(its_weight, weight)


def test_without_a_checkpoint_a_run_starts_at_nothing(tmp_path: Path) -> None:
    assert checkpoint.resume(tmp_path, *model(0)) == Progress()


@pytest.mark.parametrize("epoch", [1, 7])
def test_the_best_weights_come_back_with_their_dev_logits(tmp_path: Path, epoch: int) -> None:
    module, _ = model(0)
    checkpoint.keep_best(tmp_path, epoch, module, torch.ones(2, 5))
    other, _ = model(1)
    assert torch.equal(checkpoint.load_best(tmp_path, epoch, other), torch.ones(2, 5))
    assert torch.equal(other.weight, module.weight)
