"""A tower as a folder: a Hugging Face model with its tokenizer, and beside it what pinrank adds.

tower.json                how the tokens' vectors are pooled, or how many rows a hashed tower has
projection.safetensors    where the vector has another width than the encoder
hashed.safetensors        all weights of a hashed tower, which has no Hugging Face model
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinrank.backbones import content_of, resolve
from pinrank.errors import ModelError
from pinrank.parquet import one_line
from pinrank.student.hashed import HashedWords, hashed_words
from pinrank.teacher.families import Pooling

if TYPE_CHECKING:
    from pinrank.student.towers import AnyTower

ENCODER = "encoder"
"""The folder of a student's tower that reads queries, and pins too where there is no other."""

PIN_ENCODER = "pin_encoder"
"""The folder of the tower that reads pins, where they have one of their own."""

FORM = "tower.json"
PROJECTION = "projection.safetensors"
HASHED = "hashed.safetensors"


class Form(BaseModel):
    """What of a tower its weights do not say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pooling: Pooling = "mean"
    hashed_rows: int | None = Field(None, ge=2, description="rows of a hashed tower's table; null: it is none")


def save_tower(tower: "AnyTower", tokenizer: Any, folder: Path) -> None:
    """Write a tower into a folder, which is made where it is missing."""
    from safetensors.torch import save_file

    from pinrank.student.towers import HashedTower

    if isinstance(tower, HashedTower):
        folder.mkdir(parents=True, exist_ok=True)
        form = Form(hashed_rows=tower.words.num_rows)
        save_file({key: weight.cpu().contiguous() for key, weight in tower.state_dict().items()}, folder / HASHED)
        (folder / FORM).write_text(form.model_dump_json() + "\n")
        return
    tower.encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / FORM).write_text(Form(pooling=tower.pooling).model_dump_json() + "\n")
    if weights := tower.projection.state_dict():
        save_file({key: weight.cpu().contiguous() for key, weight in weights.items()}, folder / PROJECTION)


def folders_of(backbone: str) -> tuple[Path, Path]:
    """The folders of what reads queries and what reads pins: a student's two, or its one, or any backbone's."""
    folder = Path(resolve(backbone))
    query, pin = folder / ENCODER, folder / PIN_ENCODER
    if not query.is_dir():
        return folder, folder
    return query, pin if pin.is_dir() else query


def towers_content(backbone: str) -> str:
    """What changes with any file of the towers that start from a backbone; a hashed tower's name says all."""
    if hashed_words(backbone):
        return backbone
    return " ".join(content_of(str(folder)) for folder in folders_of(backbone))


def tokenizer_of(backbone: str) -> Any:
    """What makes token ids of texts for the towers that start from a backbone."""
    return hashed_words(backbone) or open_tokenizer(folders_of(backbone)[0])


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer of a tower's folder."""
    from transformers import AutoTokenizer

    rows = form_of(folder).hashed_rows
    return HashedWords(rows) if rows else AutoTokenizer.from_pretrained(str(folder))


def form_of(folder: Path, pooling: Pooling = "mean") -> Form:
    """What the folder says of its tower; this pooling where it says nothing."""
    return Form.model_validate_json((folder / FORM).read_text()) if (folder / FORM).exists() else Form(pooling=pooling)


def open_tower(
    folder: str | Path, attention: str | None = None, dropout: float | None = None, pooling: Pooling = "mean"
) -> "tuple[AnyTower, Any]":
    """A tower and its tokenizer; `pooling` is of a Hugging Face folder that pinrank did not write.

    Raises ModelError when the folder holds none, or a damaged one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from pinrank.student.towers import Tower
    from pinrank.teacher.model import open_backbone

    root = Path(folder)
    try:
        form = form_of(root, pooling)
        if form.hashed_rows:
            return _open_hashed(root, HashedWords(form.hashed_rows))
        weights = load_file(root / PROJECTION) if (root / PROJECTION).exists() else {}
        output_dim = len(weights["weight"]) if weights else None
        tower = Tower(open_backbone(str(root), attention, dropout), output_dim, form.pooling)
        tower.projection.load_state_dict(weights)
        return tower, open_tokenizer(root)
    except (OSError, KeyError, RuntimeError, SafetensorError, ValidationError) as cause:
        raise ModelError(f"{folder}: no tower ({one_line(cause)}). Train its model again.") from cause


def _open_hashed(folder: Path, words: HashedWords) -> "tuple[AnyTower, Any]":
    from safetensors.torch import load_file

    from pinrank.student.towers import HashedTower

    weights = load_file(folder / HASHED)
    tower = HashedTower(words, weights["embedding.weight"].shape[1])
    tower.load_state_dict(weights)
    return tower, words
