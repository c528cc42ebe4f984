"""caption_images on a real Ray session, with drawn pictures and a tiny random BLIP."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.captions.images import decode
from pinrank.captions.model import Captioner, CaptionSettings, model_version
from pinrank.captions.work import Manifest
from pinrank.errors import CommitError, ModelError, TableError
from pinrank.parquet import open_dataset
from pinrank.pipeline import parse
from pinrank.tables import CAPTIONS, PINS, read, write
from pipelines.caption_images import CaptionImages, main
from tests.captions.drawn import LIMITS, draw
from tests.killed_job import contents, kill_after
from tests.tiny_models import tiny_blip


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_blip(tmp_path_factory.mktemp("tiny") / "blip")


def write_pins(folder: Path, *rows: tuple[str, str, str]) -> None:
    """The pins table of (pin_id, image_url, caption)."""
    made = [{"pin_id": pin, "title": pin, "image_url": url, "caption": caption} for pin, url, caption in rows]
    write(pa.Table.from_pylist(made, PINS.schema), str(folder / "pins"), PINS)


def drawn_pins(folder: Path, count: int) -> list[tuple[str, str, str]]:
    """Pins whose pictures lie under FOLDER/images, named relative to it."""
    for number in range(count):
        draw(folder / f"images/{number}.png", number)
    return [(f"p{number:02}", f"{number}.png", "") for number in range(count)]


def settings_of(folder: Path, blip: Path, output: str = "captions", **changed: object) -> CaptionImages:
    given: dict[str, object] = {
        "tables": str(folder),
        "output": folder / output,
        "captions": {"model": str(blip), "max_new_tokens": 6, "batch_size": 4},
        "images": {"root": str(folder / "images")},
        "rows_per_shard": 4,
    }
    return CaptionImages(**given | changed)


@pytest.mark.ray
def test_pictures_are_captioned_and_what_cannot_be_read_is_set_aside(
    ray_session: None, tmp_path: Path, blip: Path
) -> None:
    pins = drawn_pins(tmp_path, 9)
    (tmp_path / "images/broken.png").write_bytes((tmp_path / "images/1.png").read_bytes()[:90])
    (tmp_path / "images/text.png").write_text("no picture")
    draw(tmp_path / "images/huge.png", 1, side=400)
    others = [("q0", "broken.png", ""), ("q1", "text.png", ""), ("q2", "gone.png", ""), ("q3", "huge.png", "")]
    write_pins(tmp_path, *pins, *others, ("r0", "", ""), ("r1", "1.png", "by hand"))
    limits = {"root": str(tmp_path / "images"), "max_pixels": 100_000}
    summary = main(settings_of(tmp_path, blip, images=limits, max_quarantined_share=0.4))
    assert (summary.rows_in, summary.rows_out, summary.quarantined) == (13, 9, 4)
    assert (summary.details["pins_without_image_url"], summary.details["pins_with_caption"]) == (1, 1)

    rows = read(str(tmp_path / "captions"), CAPTIONS).sort_by("pin_id").to_pylist()
    pictures = [decode((tmp_path / "images" / url).read_bytes(), LIMITS) for _, url, _ in pins]
    captioner = Captioner(CaptionSettings(model=str(blip), max_new_tokens=6, batch_size=4))
    expected = [text for start in (0, 4, 8) for text in captioner.caption(pictures[start : start + 4])]
    assert [row["caption"] for row in rows] == expected
    assert {row["model"] for row in rows} == {model_version(str(blip))}
    assert len({row["image_hash"] for row in rows}) == 9

    aside = [
        row
        for folder in (tmp_path / "captions/quarantine").iterdir()
        for row in open_dataset(str(folder), "quarantine").to_table().to_pylist()
    ]
    assert {json.loads(row["content"])["image_url"]: row["reason"] for row in aside} == {
        "broken.png": "'image_url' is no picture that can be decoded (OSError)",
        "text.png": "'image_url' is no picture that can be decoded (UnidentifiedImageError)",
        "gone.png": "'image_url' names no file",
        "huge.png": "'image_url' has more than 100000 pixels",
    }
    manifest = Manifest.model_validate_json((tmp_path / "captions/manifest.json").read_text())
    assert (manifest.rows, manifest.captioning.model) == (9, model_version(str(blip)))


@pytest.mark.ray
@pytest.mark.chaos
def test_killed_job_resumes_to_the_same_bytes(ray_session: None, tmp_path: Path, blip: Path) -> None:
    pins = drawn_pins(tmp_path, 60)
    (tmp_path / "images/7.png").write_bytes(b"broken")
    write_pins(tmp_path, *pins)
    whole = settings_of(tmp_path, blip, "uninterrupted", rows_per_shard=2)
    main(whole)
    killed = settings_of(tmp_path, blip, "killed", rows_per_shard=2)
    kill_after(3, killed.output, "caption_images", options_of(killed))
    left = list(killed.output.glob("shard-*.parquet"))
    assert 3 <= len(left) < 30
    assert not (killed.output / "manifest.json").exists()
    assert main(killed).details["resumed_shards"] == len(left)
    assert contents(killed.output) == contents(whole.output)


def options_of(settings: CaptionImages) -> list[str]:
    return [
        *("--tables", settings.tables, "--output", str(settings.output), "--images.root", settings.images.root),
        *("--captions.model", settings.captions.model, "--captions.max_new_tokens", "6", "--captions.batch_size", "4"),
        *("--rows_per_shard", str(settings.rows_per_shard), "--cluster.num_cpus", "2", "--no-cluster.dashboard"),
    ]


@pytest.mark.ray
def test_captions_go_into_the_pins_and_the_same_command_finds_nothing_to_do(
    ray_session: None, tmp_path: Path, blip: Path
) -> None:
    write_pins(tmp_path, *drawn_pins(tmp_path, 5), ("r0", "0.png", "by hand"), ("r1", "", ""))
    settings = settings_of(tmp_path, blip, merge_into=str(tmp_path / "pins"))
    main(settings)
    captions = {row["pin_id"]: row["caption"] for row in read(str(settings.output), CAPTIONS).to_pylist()}
    merged = {row["pin_id"]: row["caption"] for row in read(str(tmp_path / "pins"), PINS).to_pylist()}
    assert merged == captions | {"r0": "by hand", "r1": ""}
    before = contents(tmp_path / "captions") | contents(tmp_path / "pins")
    assert main(settings).details["resumed_shards"] == 2
    assert contents(tmp_path / "captions") | contents(tmp_path / "pins") == before


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, ray_session: None, blip: Path) -> Path:
    """The folder of a finished job; its third pin shows the file of its first."""
    folder = tmp_path_factory.mktemp("finished")
    write_pins(folder, *drawn_pins(folder, 2), ("q0", str(folder / "images/0.png"), ""))
    main(settings_of(folder, blip))
    return folder


@pytest.mark.ray
def test_one_file_under_two_names_is_captioned_alike(finished: Path) -> None:
    found = {row["pin_id"]: row for row in read(str(finished / "captions"), CAPTIONS).to_pylist()}
    assert found["q0"]["caption"] == found["p00"]["caption"]
    assert found["q0"]["image_hash"] == found["p00"]["image_hash"] != found["p01"]["image_hash"]


@pytest.mark.ray
def test_too_many_unreadable_pictures_fail_the_job_and_a_larger_share_finishes_it(
    ray_session: None, tmp_path: Path, blip: Path
) -> None:
    write_pins(tmp_path, *drawn_pins(tmp_path, 3), ("q0", "gone.png", ""))
    with pytest.raises(TableError, match=r"1 of 4 pictures have no caption, more than the allowed share 0\.1"):
        main(settings_of(tmp_path, blip))
    assert not (tmp_path / "captions/manifest.json").exists()
    assert main(settings_of(tmp_path, blip, max_quarantined_share=0.3)).details["resumed_shards"] == 1


@pytest.mark.ray
def test_another_setting_on_the_same_output_is_refused(finished: Path, blip: Path) -> None:
    before = contents(finished / "captions")
    other = {"model": str(blip), "max_new_tokens": 7, "batch_size": 4}
    with pytest.raises(CommitError, match="max_new_tokens 6 → 7"):
        main(settings_of(finished, blip, captions=other))
    assert contents(finished / "captions") == before


def test_a_model_that_cannot_be_had_ends_the_job_before_it_starts(tmp_path: Path) -> None:
    write_pins(tmp_path, *drawn_pins(tmp_path, 1))
    with pytest.raises(ModelError, match="there is no such model folder"):
        main(settings_of(tmp_path, tmp_path / "gone"))
    assert not (tmp_path / "captions").exists()


def test_no_pictures_end_the_job(tmp_path: Path, blip: Path) -> None:
    write_pins(tmp_path, ("a", "", ""), ("b", "b.png", "a cake"))
    with pytest.raises(TableError, match="no pin has an image_url and lacks a caption"):
        main(settings_of(tmp_path, blip))


@pytest.mark.parametrize("profile", ["demo", "full"])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str) -> None:
    found = parse(CaptionImages, ["--config", str(root / f"pipelines/configs/{profile}/caption_images.yaml")])
    assert found.tables == f"runs/{profile}/tables"
