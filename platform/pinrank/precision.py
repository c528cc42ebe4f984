"""Which arithmetic a model's matrix products run in."""

import contextlib
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16"]


def is_half(precision: Precision, device: "torch.device") -> bool:
    """Whether matrix products run in bfloat16; auto: where the hardware multiplies it faster than float32."""
    import torch

    if precision == "auto":
        return device.type == "cuda" or bool(
            torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        )
    return precision == "bfloat16"


def autocast(precision: Precision, device: "torch.device") -> contextlib.AbstractContextManager[None]:
    """A context in which matrix products run in the precision; weights stay float32."""
    import torch

    if is_half(precision, device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
