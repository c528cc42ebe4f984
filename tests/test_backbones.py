"""Finding a backbone's weights."""

from pathlib import Path

import pytest

from pinrank.backbones import refuse_foreign_code, resolve
from pinrank.errors import ModelError


def test_the_packaged_backbone_needs_no_network():
    assert (Path(resolve("all-MiniLM-L6-v2")) / "model.safetensors").exists()


def test_a_local_folder_is_itself(tmp_path: Path):
    assert resolve(str(tmp_path)) == str(tmp_path)


def cached(monkeypatch: pytest.MonkeyPatch, cache: Path, revision: str) -> Path:
    """A Hugging Face cache that holds one revision of org/model."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    snapshot = cache / "models--org--model" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    return snapshot


def test_a_pinned_revision_is_found_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    revision = "0123456789abcdef0123456789abcdef01234567"
    snapshot = cached(monkeypatch, tmp_path, revision)
    assert resolve(f"org/model@{revision}") == str(snapshot)


def test_an_id_that_cannot_be_had_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    cached(monkeypatch, tmp_path, "0" * 40)
    with pytest.raises(ModelError, match=r"org/model@1+: no folder.*HF_HUB_OFFLINE"):
        resolve(f"org/model@{'1' * 40}")


def test_code_of_its_own_is_refused_unless_allowed(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "auto_map": {"AutoModel": "model.Model"}}')
    with pytest.raises(ModelError, match=r"auto_map.*allow_auto_map\."):
        refuse_foreign_code(str(tmp_path), allow_auto_map=False)
    refuse_foreign_code(str(tmp_path), allow_auto_map=True)


def test_a_path_that_is_missing_is_not_taken_for_an_id():
    with pytest.raises(ModelError, match="no such model folder"):
        resolve("runs/demo/ghost")
