"""A student and its pin store published together, and the command line that does so."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pinrank import registry as bundles
from pinrank.cli.app import app
from pinrank.embeddings import store
from pinrank.errors import ModelError, SettingsError, StoreCorrupt
from pinrank.lexical import field_terms
from pinrank.release import folders_of, publish
from pinrank.student.export import open_student
from pinrank.traffic import Share, Traffic, read_traffic, set_canary
from tests.serve_apps.shop import Shop, make_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_bert_dir: Path) -> Shop:
    return make_shop(tmp_path_factory.mktemp("release"), tiny_bert_dir)


def test_a_release_holds_both_and_is_named_after_both(shop: Shop, tmp_path: Path) -> None:
    bundle = publish(tmp_path, shop.student, shop.pin_store)
    student = json.loads((shop.student / "card.json").read_text())["version"]
    assert bundle.version.startswith(student.replace("@", "-") + "@")
    for folder, source in zip(folders_of(tmp_path, bundle.version), (shop.student, shop.pin_store), strict=True):
        assert {path.name for path in folder.iterdir()} == {path.name for path in source.iterdir()}
    assert bundle.lineage == {"student": student, "num_pins": len(shop.pins)}
    assert bundles.current(tmp_path) is None
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".release")]


def test_the_same_two_are_one_release(shop: Shop, tmp_path: Path) -> None:
    first, second = (publish(tmp_path, shop.student, shop.pin_store) for _ in range(2))
    assert first == second


def test_parts_that_do_not_belong_together_are_refused(shop: Shop, tmp_path: Path) -> None:
    shutil.copytree(shop.pin_store, tmp_path / "store")
    manifest = json.loads((tmp_path / "store/manifest.json").read_text())
    (tmp_path / "store/manifest.json").write_text(json.dumps(manifest | {"student_version": "other@00000000"}))
    with pytest.raises(ModelError, match="holds rows of student other@00000000"):
        publish(tmp_path / "registry", shop.student, tmp_path / "store")


def test_a_damaged_store_is_refused(shop: Shop, tmp_path: Path) -> None:
    shutil.copytree(shop.pin_store, tmp_path / "store")
    (tmp_path / "store/manifest.json").write_text("{")
    with pytest.raises(StoreCorrupt):
        publish(tmp_path / "registry", shop.student, tmp_path / "store")


def published_again(shop: Shop, pin_store: Path) -> None:
    """Fewer pins of the same student, as embed_pins writes them into the folder of before."""
    student = open_student(shop.student)
    pins = list(shop.pins.values())[:3]
    rows = student.pin_rows(student.encode_pins(student.pin_texts(pins)))
    terms = field_terms(pins, student.stats.words)
    store.build(pin_store, [pin["pin_id"] for pin in pins], rows, terms, student.version)


def cut_short(shop: Shop, pin_store: Path) -> None:
    max(pin_store.glob("*.pins")).write_bytes(b"")


@pytest.mark.parametrize("change", [published_again, cut_short])
def test_a_store_that_changes_while_it_is_copied_is_not_published(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Shop, Path], None]
) -> None:
    pin_store, copytree = tmp_path / "store", shutil.copytree
    copytree(shop.pin_store, pin_store)

    def copied_late(source: Path, *given: Any, **more: Any) -> None:  # which calls itself for folders inside
        if source == pin_store:
            change(shop, pin_store)
        copytree(source, *given, **more)

    monkeypatch.setattr(shutil, "copytree", copied_late)
    with pytest.raises(ModelError, match="changed while it was copied"):
        publish(tmp_path / "registry", shop.student, pin_store)
    assert not (tmp_path / "registry/bundles").exists()


def test_a_share_is_of_queries_by_their_hash() -> None:
    share = Share(version="s@12345678", share=0.1)
    had = [share.has(f"query {number}") for number in range(5_000)]
    assert 0.08 < sum(had) / len(had) < 0.12
    assert not any(Share(version="s@12345678", share=0).has(f"query {number}") for number in range(100))
    assert all(Share(version="s@12345678", share=1).has(query) for query in ("", "\ud800", "a"))


def test_no_share_is_given_to_a_release_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Add the model first"):
        set_canary(tmp_path, Share(version="s@12345678", share=0.1))
    assert read_traffic(tmp_path) == Traffic()


def test_the_command_line_publishes_promotes_shares_and_rolls_back(shop: Shop, tmp_path: Path) -> None:
    def run(command: str, *given: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [command, str(tmp_path), *given, "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    version = run("publish", "--student", str(shop.student), "--pin_store", str(shop.pin_store))["version"]
    assert run("traffic") == {"current": None, "canary": None, "shadow": None}
    assert run("promote", version)["bundle"] == version
    assert run("canary", version, "--share", "0.5")["canary"] == {"version": version, "share": 0.5}
    assert run("canary", "--end")["canary"] is None
    assert run("shadow", version)["shadow"]["share"] == 0.05
    assert run("traffic")["current"] == version
    with pytest.raises(ModelError, match="no bundle was current before this one"):
        run("rollback")


@pytest.mark.parametrize("given", [[], ["s@12345678", "--end"]])
def test_a_share_is_given_to_a_release_or_ended(tmp_path: Path, given: list[str]) -> None:
    with pytest.raises(SettingsError, match="or --end: one of the two"):
        CliRunner().invoke(app, ["canary", str(tmp_path), *given], catch_exceptions=False)


@pytest.mark.parametrize("share", ["1.5", "-0.1", "half"])
def test_a_share_is_no_more_than_all_queries(tmp_path: Path, share: str) -> None:
    assert CliRunner().invoke(app, ["shadow", str(tmp_path), "s@12345678", "--share", share]).exit_code == 2
