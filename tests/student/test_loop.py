"""The loss of the distillation."""

import pytest
import torch

from pinrank.student.loop import soft_cross_entropy


def test_soft_cross_entropy_equals_torch_at_temperature_one() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(4, 5), torch.softmax(torch.randn(4, 5), dim=-1)
    found = soft_cross_entropy(logits, target, torch.ones(4), torch.ones(4))
    assert found == pytest.approx(torch.nn.functional.cross_entropy(logits, target).item(), rel=1e-6)


def test_a_row_counts_by_its_weight() -> None:
    logits = torch.tensor([[0.0] * 5, [5.0, 0, 0, 0, 0]])
    target = torch.eye(5)[[0, 1]]
    only_first = soft_cross_entropy(logits, target, torch.ones(2), torch.tensor([1.0, 0.0]))
    assert only_first == pytest.approx(torch.log(torch.tensor(5.0)).item())


def test_the_gradient_keeps_its_size_at_a_high_temperature() -> None:
    sizes = []
    for temperature in (1.0, 50.0):
        logits = torch.zeros(1, 5, requires_grad=True)
        target = torch.softmax(torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.1]]) / temperature, dim=-1)
        soft_cross_entropy(logits, target, torch.tensor([temperature]), torch.ones(1)).backward()
        assert logits.grad is not None
        sizes.append(logits.grad.norm().item())
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)
