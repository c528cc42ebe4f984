"""The card that every trained model's folder has: what the model is, under a version that its content decides."""

import hashlib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pinrank.errors import ModelError
from pinrank.text import TextSettings

CARD = "card.json"

Card = TypeVar("Card", bound=BaseModel)


def open_card(folder: str | Path, card: type[Card], kind: str, job: str) -> Card:
    """The card of a model's folder. Raises ModelError, with the job that trains a `kind`, when it is none."""
    path = Path(folder) / CARD
    try:
        return card.model_validate_json(path.read_text())
    except OSError as cause:
        raise ModelError(f"{folder}: no {CARD}, so this is no {kind}. Train one: python -m pipelines.{job}") from cause
    except ValidationError as cause:
        raise ModelError(f"{path}: {' '.join(str(cause).split())}. Train the {kind} again.") from cause


def content_hash(folder: Path, text: TextSettings, *others: Path) -> str:
    """8 hex digits (SHA-256) of how a model reads text, of its weights, and of other files that decide what it says."""
    digest = hashlib.sha256(text.model_dump_json().encode())
    for path in (*sorted(folder.rglob("*.safetensors")), *others):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
