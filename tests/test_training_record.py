"""What a training run says of itself."""

import logging

import pytest

from pinrank.training_record import STEPS_BETWEEN_LOGS, TrainingRecord


def test_the_first_worker_alone_logs_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for step in range(STEPS_BETWEEN_LOGS + 1):
            for rank in (0, 1):
                TrainingRecord("student", 100, rank).step(step, 0, loss=0.5, samples=8)
        TrainingRecord("student", 100, 0).epoch(0, {"dev_spearman": 0.61234, "dev_loss": 1.0})
    assert caplog.messages == [
        "student step 0 of 100, epoch 1, loss 0.5000",
        f"student step {STEPS_BETWEEN_LOGS} of 100, epoch 1, loss 0.5000",
        "student epoch 1: {'dev_spearman': 0.6123, 'dev_loss': 1.0}",
    ]
