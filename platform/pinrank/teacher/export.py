"""A trained teacher as a folder that Hugging Face, sentence-transformers and vLLM open.

    config.json, model.safetensors, tokenizer*   the backbone
    modules.json, 1_Pooling/, 2_Dense/, 3_Dense/ … the pooling and one folder a layer of the head
    card.json                                    what pinrank needs to read it again, its metrics and lineage

The layout of the head is that of sentence-transformers, because vLLM evaluates it inside the engine. The module
types are written in their old spelling: with the newer ones vLLM leaves the head out without a word.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoTokenizer

from pinrank.backbones import resolve
from pinrank.durable import replace_folder, staging_of
from pinrank.errors import ModelError
from pinrank.model_card import CARD
from pinrank.teacher.card import TeacherCard, read_card
from pinrank.teacher.families import Pooling
from pinrank.teacher.model import ACTIVATIONS, Teacher, hidden_size, open_backbone
from pinrank.text import TextSettings

POOLING_NAMES: dict[Pooling, str] = {"first": "cls_token", "last": "lasttoken", "mean": "mean_tokens"}
POOLING_MODES = ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


def publish(teacher: Teacher, name: str, card: dict[str, Any], folder: str) -> TeacherCard:
    """Write a teacher's folder in one rename, and return its card with the version filled in.

    `card` holds the fields of TeacherCard but its version.
    """
    target = Path(folder)
    staging = staging_of(target)
    text: TextSettings = card["text"]
    teacher.backbone.save_pretrained(staging)
    tokenizer = AutoTokenizer.from_pretrained(resolve(card["backbone"]))
    tokenizer.model_max_length = text.max_tokens
    tokenizer.save_pretrained(staging)
    _write_modules(teacher, staging, text)
    complete = TeacherCard(version=f"{name}@{_weights_hash(staging)}", **card)
    (staging / CARD).write_text(complete.model_dump_json(indent=2))
    replace_folder(staging, target)
    return complete


def open_teacher(folder: str) -> Teacher:
    """Load a trained teacher with its head, in evaluation mode and float32; ModelError when it is a judge."""
    card = read_card(folder)
    if card.pooling is None or card.head is None:
        raise ModelError(f"{folder}: a judge, which has no head. Open it with pinrank.teacher.score.open_engine.")
    teacher = Teacher(open_backbone(folder), card.pooling, card.head)
    layers = [layer for layer in teacher.head if isinstance(layer, nn.Linear)]
    for layer, dense in zip(layers, _dense_folders(len(layers)), strict=True):
        path = Path(folder) / dense / "model.safetensors"
        if not path.exists():
            raise ModelError(f"{path}: a layer of the teacher's head is missing. Train the teacher again.")
        weights = load_file(path)
        layer.load_state_dict({"weight": weights["linear.weight"], "bias": weights["linear.bias"]})
    return teacher.eval()


def _dense_folders(count: int) -> list[str]:
    return [f"{position + 2}_Dense" for position in range(count)]


def _write_modules(teacher: Teacher, folder: Path, text: TextSettings) -> None:
    layers = [layer for layer in teacher.head if isinstance(layer, nn.Linear)]
    dense = _dense_folders(len(layers))
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), *((name, "Dense") for name in dense)]
    _write_json(
        folder / "modules.json",
        [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (path, kind) in enumerate(modules)
        ],
    )
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": text.max_tokens, "do_lower_case": False})
    width = hidden_size(teacher.backbone)
    chosen = POOLING_NAMES[teacher.pooling]
    modes = {f"pooling_mode_{mode}": mode == chosen for mode in POOLING_MODES}
    _write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **modes})
    activation = next(layer for layer in teacher.head if isinstance(layer, tuple(ACTIVATIONS.values())))
    for layer, name in zip(layers, dense, strict=True):
        after = nn.Identity() if layer is layers[-1] else activation
        _write_json(
            folder / name / "config.json",
            {
                "in_features": layer.in_features,
                "out_features": layer.out_features,
                "bias": True,
                "activation_function": f"{type(after).__module__}.{type(after).__name__}",
            },
        )
        weights = {"linear.weight": layer.weight, "linear.bias": layer.bias}
        save_file(
            {key: value.detach().to("cpu", torch.float32).contiguous() for key, value in weights.items()},
            folder / name / "model.safetensors",
        )


def _weights_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2))
