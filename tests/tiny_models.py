"""Tiny models with random weights, made on the spot: for tests of mechanics, never of quality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

from pinrank.backbones import resolve
from pinrank.search_embedding.export import SearchEmbeddingCard, save_search_embedding
from pinrank.search_embedding.model import build_towers
from pinrank.search_embedding.settings import SearchEmbeddingSettings
from pinrank.teacher.card import TeacherCard
from pinrank.teacher.export import publish
from pinrank.teacher.model import Teacher, open_backbone
from pinrank.teacher.settings import HeadSettings
from pinrank.text import TextSettings

TINY = ("xlm-roberta", "deberta-v2", "t5", "llama", "mistral", "qwen2", "qwen3")
"""The model types that `tiny_backbone` makes; `tiny_bert` makes one more."""

CORPUS = [
    "red shoes for running",
    "a bowl of soup | with bread",
    "abcdefghijklmnopqrstuvwxyz 0123456789",
    "boots, cakes",
]
SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 160}
WIDTH = 64


def tiny_bert(folder: Path, hidden: int = 32, layers: int = 2) -> Path:
    """A two-layer BERT with MiniLM's tokenizer and random weights, as a Hugging Face folder."""
    tokenizer = AutoTokenizer.from_pretrained(resolve("all-MiniLM-L6-v2"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=160,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def change_weights(folder: Path) -> None:
    """Other weights under the same names, as a training into the same folder leaves them."""
    weights = load_file(folder / "model.safetensors")
    save_file({name: weight + 0.01 for name, weight in weights.items()}, folder / "model.safetensors", {"format": "pt"})


def tiny_backbone(kind: str, folder: Path) -> Path:
    """A two-layer backbone of a family with a tokenizer of its kind, as a Hugging Face folder."""
    torch.manual_seed(0)
    tokenizer = {"xlm-roberta": _xlm_roberta, "deberta-v2": _deberta, "t5": _t5}.get(kind, _decoder)(kind)
    tokenizer.save_pretrained(folder)
    vocabulary = len(AutoTokenizer.from_pretrained(folder)) + 8  # some tokenizer classes add tokens of their own
    _model(kind, vocabulary).save_pretrained(folder)
    return folder


def tiny_decoder(folder: Path, context: int = 8192, chat_template: str | None = None) -> Path:
    """A two-layer Llama that generates, with weights so large that its answers differ, as a Hugging Face folder."""
    torch.manual_seed(0)
    tokenizer = _decoder("llama")
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    sizes = {**SIZES, "max_position_embeddings": context}
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_key_value_heads=1, head_dim=32, initializer_range=0.3, **sizes
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def tiny_blip(folder: Path) -> Path:
    """A BLIP that `tiny_captioner` makes."""
    return tiny_captioner("blip", folder)


def tiny_captioner(kind: str, folder: Path) -> Path:
    """A captioning model (blip, git, vit-gpt2) of one layer a side for pictures of 32 pixels, as a Hugging Face folder.

    Its weights are so large that captions differ.
    """
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(resolve("all-MiniLM-L6-v2"))
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    vision = {"image_size": 32, "patch_size": 8, **sizes}
    model = _captioner(kind, tokenizer, sizes, vision)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    model.save_pretrained(folder)
    transformers.BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _captioner(kind: str, tokenizer: Any, sizes: dict[str, int], vision: dict[str, int]) -> Any:
    size, first, last = len(tokenizer), tokenizer.cls_token_id, tokenizer.sep_token_id
    if kind == "blip":
        text = {"vocab_size": size, "encoder_hidden_size": 32, "max_position_embeddings": 32, **sizes}
        text |= {"bos_token_id": first, "sep_token_id": last}
        config = transformers.BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=32)
        return transformers.BlipForConditionalGeneration(config)
    ends = {"bos_token_id": first, "eos_token_id": last}
    if kind == "git":
        text = {"vocab_size": size, "max_position_embeddings": 64, "pad_token_id": 0, **ends, **sizes}
        return transformers.GitForCausalLM(transformers.GitConfig(vision_config=vision, **text))
    decoder = {"vocab_size": size, "n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64, **ends}
    both = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.ViTConfig(**vision), transformers.GPT2Config(add_cross_attention=True, is_decoder=True, **decoder)
    )
    model = transformers.VisionEncoderDecoderModel(both)
    model.generation_config.update(decoder_start_token_id=first, pad_token_id=0)
    return model


def tiny_teacher(folder: Path, backbone: Path) -> TeacherCard:
    """A teacher on `backbone` whose head is large enough to give each pair its own grade."""
    head = HeadSettings(hidden=(16, 8))
    text = TextSettings(max_query_tokens=16, max_tokens=64)
    torch.manual_seed(1)
    teacher = Teacher(open_backbone(str(backbone)), "first", head)
    for layer in teacher.head:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.5)
    card = {"backbone": str(backbone), "pooling": "first", "head": head, "text": text, "metrics": {}, "lineage": {}}
    return publish(teacher, "tiny", card, str(folder))


def tiny_search_embedding(
    folder: Path, backbone: Path, lineage: Mapping[str, Any] | None = None
) -> SearchEmbeddingCard:
    """An untrained search embedding on `backbone`, without vectors."""
    settings = SearchEmbeddingSettings(backbone=str(backbone))
    tokenizer = AutoTokenizer.from_pretrained(str(backbone))
    card = {"name": "tiny", "backbone": str(backbone), "text": settings.text, "metrics": {}, "lineage": lineage or {}}
    return save_search_embedding(build_towers(settings), tokenizer, folder, **card)


def _model(kind: str, vocabulary: int) -> Any:
    if kind == "t5":
        sizes = {"d_model": WIDTH, "d_kv": 16, "num_layers": 2, "num_heads": 4, "d_ff": 64}
        return transformers.T5EncoderModel(transformers.T5Config(vocab_size=vocabulary, **sizes))
    if kind == "xlm-roberta":
        config = transformers.XLMRobertaConfig(vocab_size=vocabulary, hidden_size=WIDTH, type_vocab_size=1, **SIZES)
        return transformers.XLMRobertaModel(config, add_pooling_layer=False)
    if kind == "deberta-v2":
        relative = {"type_vocab_size": 0, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
        return transformers.DebertaV2Model(
            transformers.DebertaV2Config(vocab_size=vocabulary, hidden_size=WIDTH, **SIZES, **relative)
        )
    name = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}[kind]
    config = getattr(transformers, f"{name}Config")(
        vocab_size=vocabulary, hidden_size=WIDTH, num_key_value_heads=1, head_dim=32, **SIZES
    )
    return getattr(transformers, f"{name}Model")(config)


def _xlm_roberta(kind: str) -> PreTrainedTokenizerFast:
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    frame = ("<s> $A </s>", "<s> $A </s> </s> $B </s>")
    return _unigram(names, frame, cls_token="<s>", sep_token="</s>")


def _deberta(kind: str) -> PreTrainedTokenizerFast:
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "<unk>"}
    return _unigram(names, ("[CLS] $A [SEP]", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"))


def _t5(kind: str) -> PreTrainedTokenizerFast:
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return _unigram(names, ("$A </s>", "$A </s> $B </s>"))


def _decoder(kind: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    )
    if kind in ("llama", "mistral"):
        _frame(tokenizer, "<|begin|> $A", "<|begin|> $A <|begin|> $B", special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|begin|>", eos_token="<|end|>")


def _unigram(names: dict[str, str], frame: tuple[str, str], **others: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = list(names.values())
    tokenizer.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=100, special_tokens=special, unk_token="<unk>")
    )
    _frame(tokenizer, *frame, special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, **others)


def _frame(tokenizer: Tokenizer, single: str, pair: str, special: list[str]) -> None:
    ids = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)
