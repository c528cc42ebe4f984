"""What pinrank knows of each family of backbones: how it is opened, pooled, paired, and whether vLLM runs it."""

from dataclasses import dataclass
from typing import Any, Literal

from pinrank.errors import ModelError

Pooling = Literal["first", "last", "mean"]
Pairing = Literal["native", "separator"]
"""native: the tokenizer's own special tokens stand between query and pin; separator: a text does."""


@dataclass(frozen=True)
class Family:
    """One family of architectures.

    pooling: what suits it. pairing: how query and pin are told apart. token_types: whether it reads BERT's segment ids.
    encoder_of: AutoModel would open an encoder-decoder of which only the encoder is wanted. unused_pooler: AutoModel
    would add a layer that was pretrained for something else. in_vllm: whether vLLM has the architecture.
    """

    name: str
    pooling: Pooling
    pairing: Pairing = "native"
    token_types: bool = False
    encoder_of: bool = False
    unused_pooler: bool = False
    in_vllm: bool = True


BERT = Family("bert", "first", token_types=True, unused_pooler=True)
ROBERTA = Family("roberta", "first", unused_pooler=True)
DEBERTA = Family("deberta", "first", token_types=True, in_vllm=False)
T5 = Family("t5", "mean", encoder_of=True, in_vllm=False)
DECODER = Family("decoder", "last", pairing="separator")

FAMILIES: dict[str, Family] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "deberta-v2": DEBERTA,
    "t5": T5,
    "mt5": T5,
    "umt5": T5,
    "llama": DECODER,
    "mistral": DECODER,
    "qwen2": DECODER,
    "qwen3": DECODER,
}
"""By the model_type of a Hugging Face config. DeBERTa's folders of v3 say deberta-v2."""


def family_of(model_type: str) -> Family:
    """The family of a Hugging Face model_type; ModelError for one that pinrank does not know."""
    try:
        return FAMILIES[model_type]
    except KeyError:
        known = ", ".join(sorted(FAMILIES))
        raise ModelError(
            f"backbone family '{model_type}' is unknown to pinrank; the known ones are {known}. Choose one of these."
        ) from None


def uses_token_types(config: Any) -> bool:
    """Whether a backbone, by its Hugging Face config, tells the query from the pin by token type."""
    return bool(family_of(config.model_type).token_types and config.type_vocab_size > 1)
