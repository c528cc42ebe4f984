"""Refreshing the pins' vectors and their store: only what changed is embedded, and what is gone goes."""

from pathlib import Path

import numpy as np
import pytest

from pinrank import lexical, tables
from pinrank.embeddings import texts, work
from pinrank.embeddings.encode import vectors_of
from pinrank.embeddings.store import PinStore, read_manifest
from pinrank.errors import TableError
from pinrank.shard_folder import shard_path
from pinrank.tables import PIN_EMBEDDINGS, PIN_TEXT
from pipelines.embed_pins import EmbedPins, encoding_of, main
from tests.embeddings.embedded_here import by_hash, by_hash_here, embed, settings_of, write_pins
from tests.serve_apps.shop import make_shop

TITLES = {f"pin-{number}": f"a {('red', 'blue', 'green')[number % 3]} thing {number}" for number in range(40)}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory, tiny_bert_dir: Path) -> Path:
    return make_shop(tmp_path_factory.mktemp("shop"), tiny_bert_dir).student


@pytest.fixture
def folder(tmp_path: Path, student: Path) -> Path:
    (tmp_path / "student").symlink_to(student)
    write_pins(tmp_path, TITLES)
    return tmp_path


def assert_served(folder: Path, titles: dict[str, str]) -> None:
    """The record and the store hold just these pins, with the rows of their texts."""
    student, pin_ids = by_hash(folder / "student"), sorted(titles)
    wanted = student.encode_pins([titles[pin_id] for pin_id in pin_ids])
    record = tables.read(f"{folder}/tables/pin_embeddings", PIN_EMBEDDINGS).sort_by("pin_id")
    assert record["pin_id"].to_pylist() == pin_ids
    assert np.array_equal(vectors_of(record), wanted.astype(np.float16))
    opened = PinStore.open(folder / "store", verify=True)
    found = opened.lookup(pin_ids)
    assert len(opened) == len(titles) and found.found_N.all()
    wanted_NR = student.pin_rows(vectors_of(record))
    np.testing.assert_array_max_ulp(found.rows_NR, wanted_NR, maxulp=1)  # a product's last bit depends on its size
    terms = lexical.field_terms([{"locale": "en", "title": titles[pin_id]} for pin_id in pin_ids], student.stats.words)
    assert np.array_equal(found.terms.terms, terms.terms)
    assert not opened.gather([pin_id for pin_id in TITLES if pin_id not in titles]).found_N.any()


def test_the_first_run_embeds_every_text(folder: Path) -> None:
    done = embed(folder)
    assert (done.rows_in, done.rows_out) == (40, 40)
    assert (done.details["store"], done.details["encoded_texts"], done.details["shards"]) == ("built", 40, 5)
    assert_served(folder, TITLES)
    assert not list((folder / "store.work").glob("shard-*"))


def test_without_changes_nothing_is_written(folder: Path) -> None:
    embed(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.p*") if path.is_file()}
    done = embed(folder)
    assert (done.details["store"], done.details["encoded_texts"]) == ("kept", 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_only_what_changed_is_embedded_and_what_is_gone_is_deleted(folder: Path) -> None:
    embed(folder)
    changed = TITLES | {"pin-3": "another title", "new": "a new pin", "copy": TITLES["pin-5"]}
    del changed["pin-4"], changed["pin-7"]
    write_pins(folder, changed)
    done = embed(folder)
    assert done.details["store"] == "updated" and len(read_manifest(folder / "store").segments) == 2
    assert (done.details["encoded_texts"], done.details["changed_pins"], done.details["deleted_pins"]) == (2, 3, 2)
    assert_served(folder, changed)


def test_a_text_that_differs_in_case_alone_is_not_embedded_again(folder: Path) -> None:
    embed(folder)
    write_pins(folder, TITLES | {"pin-1": TITLES["pin-1"].upper()})
    assert embed(folder).details["store"] == "kept"


def test_a_pin_of_another_locale_has_other_words_and_the_same_vector(folder: Path) -> None:
    embed(folder)
    write_pins(folder, TITLES, locale="de")
    done = embed(folder)
    assert (done.details["encoded_texts"], done.details["changed_pins"]) == (0, 40)


def test_vectors_of_another_encoder_are_made_again(folder: Path) -> None:
    embed(folder)
    path = f"{folder}/tables/pin_embeddings"
    record = tables.read(path, PIN_EMBEDDINGS)
    tables.write(record.set_column(3, "encoder", [["other@00000000"] * 40]), path, PIN_EMBEDDINGS)
    assert embed(folder).details["encoded_texts"] == 40
    assert_served(folder, TITLES)


def test_a_store_of_shorter_vectors_needs_no_embedding(folder: Path) -> None:
    embed(folder)
    done = embed(folder, vector_dim=8).details
    assert (done["encoded_texts"], done["store"]) == (0, "built") and done["student"].endswith(":8")
    assert PinStore.open(folder / "store").row_width == 8 + 16


def test_a_store_of_another_form_is_built_from_the_record(folder: Path) -> None:
    embed(folder)
    done = embed(folder, dtype="int8", num_shards=3).details
    assert (done["encoded_texts"], done["store"]) == (0, "built")
    rows = PinStore.open(folder / "store").gather(list(TITLES)).rows_NR
    record = tables.read(f"{folder}/tables/pin_embeddings", PIN_EMBEDDINGS)
    wanted = by_hash(folder / "student").pin_rows(vectors_of(record))
    order = [record["pin_id"].to_pylist().index(pin_id) for pin_id in TITLES]
    assert np.abs(rows - wanted[order]).max() < 0.02


def test_partitions_and_pieces_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("texts.ROWS_A_PIECE", "record.ROWS_A_PIECE", "refresh.PINS_A_BATCH"):
        monkeypatch.setattr(f"pinrank.embeddings.{name}", 7)
    embed(folder)
    assert_served(folder, TITLES)
    changed = {pin_id: title for pin_id, title in TITLES.items() if pin_id != "pin-9"} | {"pin-2": "other", "x": "y"}
    write_pins(folder, changed)
    embed(folder)
    assert_served(folder, changed)


def interrupted(folder: Path, shards: int) -> None:
    """A job that ends after some shards."""
    settings = settings_of(folder)

    def some(prepared: work.Prepared, settings: EmbedPins) -> None:
        by_hash_here(prepared, settings)
        for shard in prepared.work.shards[shards:]:
            shard_path(settings.work_folder, shard.name).unlink()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        main(settings, some)


def test_shards_of_an_interrupted_job_are_kept(folder: Path) -> None:
    interrupted(folder, shards=3)
    assert embed(folder).details["resumed_shards"] == 3
    assert_served(folder, TITLES)


def test_vectors_of_an_interrupted_job_are_used_when_the_pins_have_changed_since(folder: Path) -> None:
    interrupted(folder, shards=3)
    changed = TITLES | {"pin-0": "another title"}
    write_pins(folder, changed)
    done = embed(folder).details
    assert done["resumed_shards"] == 3 and 16 <= done["encoded_texts"] <= 17
    assert_served(folder, changed)


def test_shards_of_another_encoding_are_not_used(folder: Path) -> None:
    interrupted(folder, shards=3)
    settings = settings_of(folder)
    other = encoding_of(settings, "other@00000000")
    assert work.kept_shards(settings.work_folder, other) == set()
    assert embed(folder).details["resumed_shards"] == 0


@pytest.mark.parametrize(("pin_ids", "said"), [(["a", "a"], "repeats the id"), (["a", ""], "column 'pin_id' is")])
def test_unusable_ids_are_refused(folder: Path, pin_ids: list[str], said: str) -> None:
    rows = tables.read(f"{folder}/tables/pin_text", PIN_TEXT).slice(0, 2)
    tables.write(rows.set_column(0, "pin_id", [pin_ids]), f"{folder}/tables/pin_text", PIN_TEXT)
    with pytest.raises(TableError, match=said):
        texts.read_texts(f"{folder}/tables/pin_text")


def test_a_folder_of_other_things_is_refused_before_anything_is_encoded(folder: Path) -> None:
    (folder / "store").mkdir()
    (folder / "store" / "thesis.txt").write_text("years")
    with pytest.raises(TableError, match=r"holds thesis\.txt"):
        embed(folder)
    assert not (folder / "store.work").exists()
