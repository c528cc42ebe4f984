"""The teacher: backbone → pooling → MLP head → five logits.

Shape letters: N pairs, T tokens, D hidden size, L = 5 levels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, PreTrainedModel

from pinrank.backbones import refuse_pickled, resolve
from pinrank.errors import ModelError
from pinrank.levels import NUM_LEVELS
from pinrank.teacher.families import Family, Pooling, family_of
from pinrank.teacher.settings import HeadSettings

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "tanh": nn.Tanh, "relu": nn.ReLU}
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "dropout", "dropout_rate")
"""How the families call the dropouts inside a backbone."""


class Teacher(nn.Module):
    """A cross-encoder: forward(**tokens) gives logits_NL in float32."""

    def __init__(self, backbone: PreTrainedModel, pooling: Pooling, head: HeadSettings) -> None:
        super().__init__()
        self.backbone: PreTrainedModel = backbone
        self.pooling = pooling
        self.head = build_head(hidden_size(backbone), head)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        hidden_NTD = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state
        pooled_ND = pool(hidden_NTD, attention_mask, self.pooling)
        logits_NL: Tensor = self.head(pooled_ND.to(next(self.head.parameters()).dtype))
        return logits_NL.float()


def pool(hidden_NTD: Tensor, attention_mask_NT: Tensor, pooling: Pooling) -> Tensor:
    """One vector a sequence, [N, D]: its first token, its last token that is no padding, or the mean of its tokens.

    The mean of a sequence without any token is zero.
    """
    if pooling == "first":
        return hidden_NTD[:, 0]
    if pooling == "last":
        last_N = attention_mask_NT.sum(dim=1) - 1
        return hidden_NTD[torch.arange(hidden_NTD.shape[0], device=hidden_NTD.device), last_N]
    mask_NT1 = attention_mask_NT.unsqueeze(-1).to(hidden_NTD.dtype)
    return (hidden_NTD * mask_NT1).sum(dim=1) / mask_NT1.sum(dim=1).clamp(min=1)


def build_head(width: int, settings: HeadSettings) -> nn.Sequential:
    """Linear → activation → dropout for every hidden layer, then a Linear to five logits."""
    if not settings.hidden:
        raise ModelError("head.hidden is empty: the teacher's head needs a hidden layer, e.g. [384]")
    layers: list[nn.Module] = []
    for hidden in settings.hidden:
        layers += [nn.Linear(width, hidden), ACTIVATIONS[settings.activation](), nn.Dropout(settings.dropout)]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, NUM_LEVELS))


def open_backbone(
    name: str,
    attention: str | None = None,
    dropout: float | None = None,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> PreTrainedModel:
    """Load a backbone without language-model or classification head; of an encoder-decoder, its encoder.

    Eager attention trains three times faster than "sdpa" on CPUs, whose backward pass is slow; None leaves the choice
    to transformers. `dropout` replaces every dropout inside the backbone; None leaves them as they were pretrained.
    `options` go to from_pretrained. Raises ModelError when the folder lacks weights or its family is unknown.
    """
    folder = resolve(name)
    refuse_pickled(folder)
    config = AutoConfig.from_pretrained(folder)
    family = family_of(config.model_type)
    if hasattr(config, "auto_map"):
        del config.auto_map  # what is saved from here on opens with transformers' own class alone
    if dropout is not None:
        for setting in DROPOUTS:
            if hasattr(config, setting):
                setattr(config, setting, dropout)
    if family.unused_pooler:
        options["add_pooling_layer"] = False
    opener = AutoModelForTextEncoding if family.encoder_of else AutoModel
    backbone, loading = opener.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        attn_implementation=attention,
        use_safetensors=True,
        output_loading_info=True,
        **options,
    )
    if loading["missing_keys"]:
        missing = ", ".join(sorted(loading["missing_keys"])[:3])
        raise ModelError(f"{name}: the folder lacks weights of the backbone ({missing}, ...). Download it again.")
    return backbone


def backbone_family(name: str) -> Family:
    """The family of a backbone, from its config; ModelError for one that pinrank does not know."""
    return family_of(AutoConfig.from_pretrained(resolve(name)).model_type)


def hidden_size(backbone: PreTrainedModel) -> int:
    """D, the width of the backbone's last layer."""
    return int(backbone.config.hidden_size)
