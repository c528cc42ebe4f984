"""A captioning model is opened from its folder, and refused when it cannot be trusted."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pinrank.captions.images import decode
from pinrank.captions.model import Captioner, CaptionSettings, model_version
from pinrank.errors import ModelError
from tests.captions.drawn import LIMITS, draw
from tests.tiny_models import tiny_blip, tiny_captioner


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_blip(tmp_path_factory.mktemp("tiny") / "blip")


@pytest.fixture
def copy(blip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(blip, tmp_path / "blip"))


def pictures(folder: Path, count: int) -> list[Image.Image]:
    return [decode(draw(folder / f"{number}.png", number).read_bytes(), LIMITS) for number in range(count)]


def test_every_picture_has_its_caption_whichever_batch_it_is_in(blip: Path, tmp_path: Path) -> None:
    captioner = Captioner(CaptionSettings(model=str(blip), max_new_tokens=6))
    drawn = pictures(tmp_path, 5)
    together = captioner.caption(drawn)
    assert len(set(together)) > 1
    assert all(text == text.strip() and "[" not in text for text in together)
    assert [captioner.caption([picture])[0] for picture in drawn] == together
    assert captioner.caption([]) == []


def test_a_caption_is_no_longer_than_asked(blip: Path, tmp_path: Path) -> None:
    drawn = pictures(tmp_path, 3)
    short, long = (Captioner(CaptionSettings(model=str(blip), max_new_tokens=most)).caption(drawn) for most in (3, 12))
    assert all(whole.startswith(start) and whole != start for start, whole in zip(short, long, strict=True))


@pytest.mark.parametrize("kind", ["git", "vit-gpt2"])
def test_other_families_caption_as_well(kind: str, tmp_path: Path) -> None:
    folder = tiny_captioner(kind, tmp_path / kind)
    captions = Captioner(CaptionSettings(model=str(folder), max_new_tokens=6)).caption(pictures(tmp_path, 8))
    assert all(captions)
    assert len(set(captions)) > 1


def test_several_beams_give_captions_too(blip: Path, tmp_path: Path) -> None:
    captioner = Captioner(CaptionSettings(model=str(blip), max_new_tokens=4, num_beams=3))
    assert all(captioner.caption(pictures(tmp_path, 2)))


def test_a_version_names_the_weights_and_how_pictures_are_read(blip: Path, copy: Path) -> None:
    name, _, digest = model_version(str(blip)).partition("@")
    assert (name, len(digest)) == ("blip", 8)
    assert model_version(str(copy)) == model_version(str(blip))
    for file in ("preprocessor_config.json", "model.safetensors"):
        (copy / file).write_bytes((copy / file).read_bytes() + b" ")
        assert model_version(str(copy)) != model_version(str(blip))


def changed(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_code_of_its_own_is_refused(copy: Path) -> None:
    changed(copy / "config.json", auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(ModelError, match="auto_map"):
        model_version(str(copy))


def test_a_model_that_wants_a_chat_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(ModelError, match="captions on request in a chat"):
        model_version(str(copy))


def test_weights_that_are_pickled_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="holds no safetensors"):
        model_version(str(copy))


def test_a_model_of_another_kind_is_named(tiny_bert_dir: Path) -> None:
    with pytest.raises(ModelError, match="no image-to-text model that transformers opens"):
        Captioner(CaptionSettings(model=str(tiny_bert_dir)))


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such model folder"):
        model_version(str(tmp_path / "gone"))
