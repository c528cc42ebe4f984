"""A tower as a folder: a Hugging Face model with its tokenizer, and beside it what pinrank adds.

tower.json                how the tokens' vectors are pooled
projection.safetensors    where the vector has another width than the encoder
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pinrank.backbones import resolve
from pinrank.errors import ModelError
from pinrank.parquet import one_line
from pinrank.teacher.families import Pooling

if TYPE_CHECKING:
    from pinrank.student.towers import Tower

ENCODER = "encoder"
"""The folder of a student's tower that reads queries, and pins too where there is no other."""

PIN_ENCODER = "pin_encoder"
"""The folder of the tower that reads pins, where they have one of their own."""

FORM = "tower.json"
PROJECTION = "projection.safetensors"


class Form(BaseModel):
    """What of a tower its weights do not say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pooling: Pooling = "mean"


def save_tower(tower: "Tower", tokenizer: Any, folder: Path) -> None:
    """Write a tower into a folder, which is made where it is missing."""
    from safetensors.torch import save_file

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


def open_tower(folder: str | Path, attention: str | None = None, dropout: float | None = None) -> "tuple[Tower, Any]":
    """A tower and its tokenizer; a Hugging Face folder that pinrank did not write is pooled by the mean.

    Raises ModelError when the folder holds none, or a damaged one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    from pinrank.student.towers import Tower
    from pinrank.teacher.model import open_backbone

    root = Path(folder)
    try:
        form = Form.model_validate_json((root / FORM).read_text()) if (root / FORM).exists() else Form()
        weights = load_file(root / PROJECTION) if (root / PROJECTION).exists() else {}
        output_dim = len(weights["weight"]) if weights else None
        tower = Tower(open_backbone(str(root), attention, dropout), output_dim, form.pooling)
        tower.projection.load_state_dict(weights)
        return tower, AutoTokenizer.from_pretrained(str(root))
    except (OSError, KeyError, RuntimeError, SafetensorError, ValidationError) as cause:
        raise ModelError(f"{folder}: no tower ({one_line(cause)}). Train its model again.") from cause
