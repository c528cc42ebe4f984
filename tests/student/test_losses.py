"""The losses of the distillation."""

import pytest
import torch

from pinrank.student.losses import loss_of, soft_cross_entropy


def test_soft_cross_entropy_equals_torch_at_temperature_one() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(4, 5), torch.softmax(torch.randn(4, 5), dim=-1)
    found = soft_cross_entropy(logits, target, torch.ones(4), torch.ones(4))
    assert found == pytest.approx(torch.nn.functional.cross_entropy(logits, target).item(), rel=1e-6)


def test_a_row_counts_by_its_weight() -> None:
    logits = torch.tensor([[0.0] * 5, [5.0, 0, 0, 0, 0]])
    target = torch.eye(5)[[0, 1]]
    only_first = soft_cross_entropy(logits, target, torch.ones(2), torch.tensor([1.0, 0.0]), mean_weight=0.5)
    assert only_first == pytest.approx(torch.log(torch.tensor(5.0)).item())


def test_a_batch_of_light_rows_pulls_less_than_one_of_heavy_rows() -> None:
    logits, target = torch.randn(4, 5), torch.softmax(torch.randn(4, 5), dim=-1)
    heavy, light = (loss_of(logits, target, torch.ones(4), torch.full((4,), weight)) for weight in (1.0, 0.5))
    assert light.item() == pytest.approx(0.5 * heavy.item(), rel=1e-6)
    alone = loss_of(logits, target, torch.ones(4), torch.full((4,), 0.5), mean_weight=0.5)
    assert alone.item() == pytest.approx(heavy.item(), rel=1e-6)


def test_the_gradient_keeps_its_size_at_a_high_temperature() -> None:
    sizes = []
    for temperature in (1.0, 50.0):
        logits = torch.zeros(1, 5, requires_grad=True)
        target = torch.softmax(torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.1]]) / temperature, dim=-1)
        soft_cross_entropy(logits, target, torch.tensor([temperature]), torch.ones(1)).backward()
        assert logits.grad is not None
        sizes.append(logits.grad.norm().item())
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_kl_at_temperature_one_adds_nothing_where_the_student_agrees() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0, 0.5]])
    target = torch.softmax(logits / 3.0, dim=-1)
    rest = (target, torch.tensor([3.0]), torch.ones(1))
    assert loss_of(logits, *rest, kl_weight=5.0) == pytest.approx(soft_cross_entropy(logits, *rest).item(), abs=1e-5)
    assert loss_of(-logits, *rest, kl_weight=5.0) > soft_cross_entropy(-logits, *rest) + 1


def test_at_temperature_one_kl_has_the_gradient_of_the_cross_entropy() -> None:
    target = torch.softmax(torch.tensor([[0.0, 1.0, 2.0, 3.0, 0.5]]), dim=-1)
    gradients = []
    for kl_weight in (0.0, 1.0):
        logits = torch.zeros(1, 5, requires_grad=True)
        loss_of(logits, target, torch.ones(1), torch.ones(1), kl_weight=kl_weight).backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(gradients[1], 2 * gradients[0])


def test_a_hard_label_is_the_most_likely_level() -> None:
    logits, target = torch.randn(3, 5), torch.eye(5)[[4, 0, 2]] * 0.6 + 0.08
    rest = (target, torch.ones(3), torch.ones(3))
    hard = torch.nn.functional.cross_entropy(logits, torch.tensor([4, 0, 2]))
    found = loss_of(logits, *rest, hard_weight=2.0) - soft_cross_entropy(logits, *rest)
    assert found.item() == pytest.approx(2 * hard.item(), rel=1e-5)


def test_levels_without_any_mass_and_rows_without_any_weight_cost_nothing() -> None:
    logits = torch.zeros(2, 5, requires_grad=True)
    target = torch.eye(5)[[1, 3]]
    halves = {"kl_weight": 1.0, "hard_weight": 1.0, "mean_weight": 0.5}
    loss = loss_of(logits, target, torch.ones(2), torch.tensor([1.0, 0.0]), **halves)
    loss.backward()
    assert loss.item() == pytest.approx(3 * torch.log(torch.tensor(5.0)).item(), rel=1e-5)
    assert logits.grad is not None and torch.isfinite(logits.grad).all() and not logits.grad[1].any()
    assert loss_of(logits, target, torch.ones(2), torch.zeros(2)).item() == 0.0
