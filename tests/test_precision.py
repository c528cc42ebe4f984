"""Which arithmetic is chosen where the settings leave it to the hardware."""

import pytest
import torch

from pinrank.precision import Precision, is_half

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("amx", "avx512", "half"), [(True, True, True), (False, True, True), (True, False, True), (False, False, False)]
)
def test_auto_is_bfloat16_where_the_cpu_multiplies_it_in_hardware(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512: bool, half: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert is_half("auto", CPU) is half
    assert is_half("auto", torch.device("cuda"))


@pytest.mark.parametrize(("precision", "half"), [("bfloat16", True), ("float32", False)])
def test_what_is_asked_for_is_taken_whatever_the_hardware(precision: Precision, half: bool) -> None:
    assert is_half(precision, CPU) is half
