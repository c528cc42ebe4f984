"""A student's tower as a folder that sentence-transformers opens and that gives the same vectors.

    query/ pin/                        one folder a side
      config.json, model.safetensors   the encoder, with its tokenizer
      modules.json, 1_Pooling/, ...    pooling, projection where the tower has one, length 1

Module types are written in their old spelling, which every version of sentence-transformers and vLLM understand.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinrank.errors import ModelError
from pinrank.student.export import StudentBundle, max_pin_tokens
from pinrank.student.tower_folder import ENCODER, form_of

if TYPE_CHECKING:
    from pinrank.student.encoder import TextEncoder

QUERY, PIN = "query", "pin"


def refuse_foreign(student: StudentBundle) -> None:
    """Raise the ModelError of `write_sides` for a student without a backbone, before any tower is opened."""
    if form_of(student.folder / ENCODER).hashed_rows:
        raise _foreign(f"{student.folder}/{ENCODER}")


def write_sides(student: StudentBundle, folder: Path) -> list[str]:
    """Write FOLDER/query and FOLDER/pin, which differ in the tokens that they read even where one tower serves both.

    Returns the names of the folders. Raises ModelError for a tower that is no Hugging Face model.
    """
    sides = {
        QUERY: (student.encoder, student.text.max_query_tokens),
        PIN: (student.pin_encoder, max_pin_tokens(student.text)),
    }
    for name, (encoder, max_tokens) in sides.items():
        write(encoder, max_tokens, folder / name)
    return list(sides)


def write(encoder: "TextEncoder", max_tokens: int, folder: Path) -> None:
    """Write one tower, with the length at which it cuts texts, into a new folder; ModelError as in `write_sides`."""
    from transformers import PreTrainedModel

    model = getattr(encoder.tower, "encoder", None)
    if not isinstance(model, PreTrainedModel):
        raise _foreign(folder.name)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False})
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    _write_pooling(encoder.tower, folder / "1_Pooling")
    if weights := encoder.tower.projection.state_dict():
        _write_dense(weights["weight"], folder / "2_Dense")
        kinds.append(("2_Dense", "Dense"))
    kinds.append((f"{len(kinds)}_Normalize", "Normalize"))
    (folder / kinds[-1][0]).mkdir()
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds)
    ]
    _write_json(folder / "modules.json", modules)


def _foreign(tower: str) -> ModelError:
    return ModelError(f"{tower}: this tower is no Hugging Face model. Leave its folder out: --no-towers.")


def _write_pooling(tower: Any, folder: Path) -> None:
    from pinrank.teacher.export import POOLING_MODES, POOLING_NAMES
    from pinrank.teacher.model import hidden_size

    chosen = POOLING_NAMES[tower.pooling]
    modes = {f"pooling_mode_{mode}": mode == chosen for mode in POOLING_MODES}
    folder.mkdir()
    _write_json(folder / "config.json", {"word_embedding_dimension": hidden_size(tower.encoder), **modes})


def _write_dense(weight_DH: Any, folder: Path) -> None:
    from safetensors.torch import save_file

    width, hidden = weight_DH.shape
    folder.mkdir()
    config = {"in_features": hidden, "out_features": width, "bias": False}
    _write_json(folder / "config.json", config | {"activation_function": "torch.nn.modules.linear.Identity"})
    save_file({"linear.weight": weight_DH.detach().cpu().contiguous()}, folder / "model.safetensors")


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
