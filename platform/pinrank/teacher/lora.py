"""Adapters on a backbone that is not trained itself, by default in 4 bits: QLoRA.

A merged adapter must go into the *dequantised* weights that it was trained on: into the full-precision ones it is a
different model (docs/decisions).
"""

import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pinrank.errors import ParityError
from pinrank.levels import most_likely_level, probabilities
from pinrank.precision import is_half
from pinrank.teacher.model import Teacher, open_backbone
from pinrank.teacher.settings import LoraSettings, TeacherSettings
from pinrank.training_step import attention_on

log = logging.getLogger(__name__)

MOST_CHANGE = 0.02
"""Of a probability, between the trained and the merged teacher."""

LEAST_AGREEMENT = 0.99
"""Share of pairs whose most likely level is the same."""


def open_trainable(settings: TeacherSettings, device: torch.device) -> PreTrainedModel:
    """The backbone as it is trained: whole in float32, or frozen, by default in NF4, under adapters."""
    attention = attention_on(device)
    if settings.lora is None:
        backbone = open_backbone(settings.backbone, attention, settings.backbone_dropout)
        if settings.gradient_checkpointing:
            backbone.gradient_checkpointing_enable()
        return backbone
    return _with_adapters(settings, settings.lora, attention, device)


def merged(teacher: Teacher, lora: LoraSettings, device: torch.device) -> Teacher:
    """The same teacher without adapters: dequantised, merged, its backbone in bfloat16."""
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    backbone: Any = teacher.backbone
    if lora.quantise:
        adapter, weights = backbone.peft_config["default"], get_peft_model_state_dict(backbone)
        dequantised = backbone.unload()
        dequantised.dequantize()
        backbone = get_peft_model(dequantised, adapter)
        set_peft_model_state_dict(backbone, weights)
    teacher.backbone = backbone.merge_and_unload().to(device, torch.bfloat16)
    teacher.head.to(device)
    return teacher


def refuse_if_changed(trained_NL: NDArray[np.float32], merged_NL: NDArray[np.float32]) -> None:
    """Raise ParityError when the merged teacher grades the probe pairs otherwise than the trained one did."""
    trained, found = probabilities(trained_NL), probabilities(merged_NL)
    change = float(np.abs(trained - found).max())
    agreement = float((most_likely_level(trained) == most_likely_level(found)).mean())
    log.info("merged: %d pairs, largest change of a probability %.4f, same level %.4f", len(found), change, agreement)
    if change > MOST_CHANGE or agreement < LEAST_AGREEMENT:
        raise ParityError(
            f"the merged teacher is not the one that was trained: a probability changed by {change:.4f} (at most "
            f"{MOST_CHANGE}), {agreement:.1%} of {len(found)} pairs kept their level (at least {LEAST_AGREEMENT:.0%}). "
            "Nothing was published. Train with --no-teacher.lora.quantise, or a smaller learning rate."
        )


def _with_adapters(
    settings: TeacherSettings, lora: LoraSettings, attention: str | None, device: torch.device
) -> PreTrainedModel:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    half = is_half(settings.precision, device)
    dtype = torch.bfloat16 if half else torch.float32
    options: dict[str, Any] = {}
    if lora.quantise:
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        options["device_map"] = {"": device}
    backbone = open_backbone(settings.backbone, attention, settings.backbone_dropout, dtype, **options)
    if lora.quantise:
        _keep_trainable_on_cpus(backbone)
        backbone = prepare_model_for_kbit_training(backbone, use_gradient_checkpointing=settings.gradient_checkpointing)
    elif settings.gradient_checkpointing:
        backbone.gradient_checkpointing_enable()
        backbone.enable_input_require_grads()
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear", bias="none"
    )
    return get_peft_model(backbone, config)


def _keep_trainable_on_cpus(backbone: PreTrainedModel) -> None:
    """Stop bitsandbytes 0.50 from repacking 4-bit weights in the first evaluation: gradients are zero ever after."""
    import bitsandbytes

    for module in backbone.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False
