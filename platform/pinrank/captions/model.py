"""A model that says what a picture shows: BLIP, GIT, a vision encoder with a text decoder, or another of their kind."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field

from pinrank.backbones import refuse_foreign_code, resolve
from pinrank.errors import ModelError
from pinrank.parquet import one_line
from pinrank.text import tidy

DECIDING = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "*.safetensors",
)
"""The files that decide a caption; a tokenizer's decide only how it is spelt, and are in the hash as well."""

TOKENIZER = ("tokenizer*.json", "vocab.*", "merges.txt", "*.model", "special_tokens_map.json")


class CaptionSettings(BaseModel):
    """Which model captions, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        "Salesforce/blip-image-captioning-large@2227ac38c9f16105cb0412e7cab4759978a8fd90",
        description="a folder or a Hugging Face id, ID@REVISION, with safetensors",
    )
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="of weights and activations")
    max_new_tokens: int = Field(30, ge=1, description="of a caption")
    num_beams: int = Field(1, ge=1, description="1: the most likely token each time")
    batch_size: int = Field(16, ge=1, description="pictures in one forward pass")


class Captioner:
    """An open model. Nothing is sampled: the same batch of pictures gives the same captions."""

    def __init__(self, settings: CaptionSettings) -> None:
        import torch
        from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

        folder = _folder(settings.model)
        self.settings = settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = getattr(torch, settings.dtype)
        try:
            model = AutoModelForImageTextToText.from_pretrained(
                folder, use_safetensors=True, dtype=dtype, trust_remote_code=False
            )
            self.pictures = AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
            self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as cause:
            raise ModelError(
                f"{settings.model}: no image-to-text model that transformers opens: {one_line(cause)}. "
                "Name one with safetensors, a preprocessor_config.json and a tokenizer, such as BLIP."
            ) from cause
        self.model = model.to(self.device).eval()

    def caption(self, pictures: Sequence[Image]) -> list[str]:
        """What each picture shows, tidied; '' where the model says nothing. RGB pictures of any size, one batch."""
        import torch

        if not pictures:
            return []
        pixels = self.pictures(images=list(pictures), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            tokens = self.model.generate(
                pixel_values=pixels.to(self.device, self.model.dtype),
                max_new_tokens=self.settings.max_new_tokens,
                num_beams=self.settings.num_beams,
                do_sample=False,
            )
        return [tidy(text) for text in self.tokenizer.batch_decode(tokens, skip_special_tokens=True)]


def model_version(name: str) -> str:
    """NAME@ the first 8 hex digits of the SHA-256 of the files that decide a caption.

    Raises ModelError when the model cannot be had, brings code of its own, is instructed by a chat, or has no
    safetensors.
    """
    folder = Path(_folder(name))
    digest = hashlib.sha256()
    files = sorted({path for pattern in (*DECIDING, *TOKENIZER) for path in folder.glob(pattern)})
    if not any(path.suffix == ".safetensors" for path in files):
        raise ModelError(
            f"{name}: holds no safetensors, and pinrank opens no other weights. Convert it, or name another."
        )
    for path in files:
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return f"{name.partition('@')[0].rstrip('/').rsplit('/', 1)[-1]}@{digest.hexdigest()[:8]}"


def _folder(name: str) -> str:
    refuse_foreign_code(name, allow_auto_map=False)
    folder = Path(resolve(name))
    if (folder / "chat_template.jinja").exists() or "chat_template" in _json(folder / "processor_config.json"):
        raise ModelError(
            f"{name}: captions on request in a chat, which caption_images does not lead. Name a model that captions "
            "unasked, such as BLIP, GIT or a vision encoder with a text decoder."
        )
    return str(folder)


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text()) if path.exists() else {}
    return content if isinstance(content, dict) else {}
