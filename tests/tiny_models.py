"""Tiny models with random weights, made on the spot: for tests of mechanics, never of quality."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from pinrank.backbones import resolve
from pinrank.teacher.export import TeacherCard, publish
from pinrank.teacher.model import HeadSettings, Teacher, open_backbone
from pinrank.text import TextSettings


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
