"""Finding a backbone's weights."""

from pathlib import Path

import pytest

from pinrank.backbones import resolve
from pinrank.errors import ModelError


def test_the_packaged_backbone_needs_no_network():
    assert (Path(resolve("all-MiniLM-L6-v2")) / "model.safetensors").exists()


def test_a_local_folder_is_itself(tmp_path: Path):
    assert resolve(str(tmp_path)) == str(tmp_path)


def test_a_hugging_face_id_passes_through():
    assert resolve("FacebookAI/xlm-roberta-large") == "FacebookAI/xlm-roberta-large"


def test_a_path_that_is_missing_is_not_taken_for_an_id():
    with pytest.raises(ModelError, match="no such model folder"):
        resolve("runs/demo/ghost")
