"""The pin store: what goes in comes out, and damage is never served."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinrank import lexical
from pinrank.embeddings import store
from pinrank.embeddings.pin_keys import key_hashes, share_of
from pinrank.embeddings.shard_file import ALIGN
from pinrank.embeddings.store import PinStore
from pinrank.errors import StoreCorrupt, TableError

IDS = st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=30)
WIDTH = 6


def rows_of(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, WIDTH)).astype(np.float16)


def terms_of(pin_ids: list[str]) -> lexical.FieldTerms:
    locales = [(None, "de", "pt")[place % 3] for place in range(len(pin_ids))]
    return lexical.field_terms(
        [{"locale": each, "title": f"pin {place}", "caption": "x " * (place % 3)} for place, each in enumerate(locales)]
    )


def build(folder: Path, pin_ids: list[str], num_shards: int = 4) -> np.ndarray:
    rows = rows_of(len(pin_ids))
    store.build(folder, pin_ids, rows, terms_of(pin_ids), "student@00000000", num_shards)
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build(tmp_path / "pin_store", [f"pin-{number}" for number in range(50)])
    return tmp_path / "pin_store"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pin_ids=IDS, num_shards=st.integers(1, 5), seed=st.randoms())
def test_any_set_of_ids_round_trips(tmp_path: Path, pin_ids: list[str], num_shards: int, seed) -> None:
    rows = build(tmp_path / "pin_store", pin_ids, num_shards)
    opened = PinStore.open(tmp_path / "pin_store")
    asked = list(range(len(pin_ids))) * 2
    seed.shuffle(asked)
    found = opened.gather([pin_ids[place] for place in asked])
    assert len(opened) == len(pin_ids)
    assert found.found_N.all()
    assert np.array_equal(found.rows_NR, rows[asked])
    terms = opened.terms([pin_ids[place] for place in asked])
    expected = terms_of(pin_ids).take(np.array(asked, dtype=int))
    assert np.array_equal(terms.terms, expected.terms)
    assert np.array_equal(terms.offsets, expected.offsets)
    assert np.array_equal(terms.languages, expected.languages)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.text(max_size=8), max_size=10))
def test_missing_pins_are_zero_rows(folder: Path, asked: list[str]) -> None:
    opened = PinStore.open(folder)
    known = [pin_id.startswith("pin-") and pin_id[4:].isdigit() and pin_id[4:].isascii() for pin_id in asked]
    asked = [pin_id for pin_id, present in zip(asked, known, strict=True) if not present]
    rows = opened.gather([*asked, "pin-7"])
    assert rows.found_N.tolist() == [False] * len(asked) + [True]
    assert not rows.rows_NR[:-1].any()
    assert opened.terms([*asked, "pin-7"]).lengths()[:-1].sum() == 0


def test_an_open_store_says_which_student_made_it(folder: Path) -> None:
    opened = PinStore.open(folder)
    assert (opened.student_version, opened.num_pins, opened.row_width) == ("student@00000000", 50, WIDTH)


def test_a_new_store_takes_the_place_of_the_old_while_it_is_read(folder: Path) -> None:
    old = PinStore.open(folder)
    before = old.gather(["pin-1"]).rows_NR.copy()
    build(folder, ["pin-1", "new"])
    assert np.array_equal(old.gather(["pin-1"]).rows_NR, before)
    assert PinStore.open(folder).gather(["new", "pin-2"]).found_N.tolist() == [True, False]
    assert [path.name for path in folder.parent.iterdir()] == ["pin_store"]


def test_one_id_twice_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'a'"):
        build(tmp_path / "pin_store", ["a", "b", "a"])
    assert not list(tmp_path.iterdir())


def test_rows_and_ids_must_fit_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 pin ids"):
        store.build(tmp_path / "s", ["a", "b", "c"], rows_of(2), terms_of(["a", "b"]), "student@0")


@pytest.mark.parametrize("shard", range(4))
@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "exchange"])
def test_a_damaged_file_is_never_served(folder: Path, shard: int, damage: str) -> None:
    path, other = (sorted(folder.glob("*.pins"))[each] for each in (shard, shard - 1))
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-ALIGN] ^= 0xFF
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[:-3])
    elif damage == "exchange":
        path.write_bytes(other.read_bytes())
    else:
        path.unlink()
    with pytest.raises(StoreCorrupt, match=path.name):
        PinStore.open(folder, verify=damage == "flip")


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"format": 99}', '{"format": 2}', '{"format": 3}', '{"format": 4}']
)
def test_a_damaged_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / store.MANIFEST).write_text(content)
    with pytest.raises(StoreCorrupt, match=r"manifest\.json"):
        PinStore.open(folder)


def test_a_manifest_of_another_width_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / store.MANIFEST).read_text())
    shape = manifest["shape"] | {"row_width": WIDTH + 1, "parts": [WIDTH + 1]}
    (folder / store.MANIFEST).write_text(json.dumps(manifest | {"shape": shape}))
    with pytest.raises(StoreCorrupt, match="header"):
        PinStore.open(folder)


def test_a_replica_may_hold_some_shards_and_finds_nothing_of_the_others(folder: Path) -> None:
    whole, part = PinStore.open(folder), PinStore.open(folder, shards=[3, 1])
    asked = [f"pin-{number}" for number in range(60)]
    here = np.isin(part.shards_of(asked), part.shards)
    assert part.shards == (1, 3) and 0 < here[:50].sum() < 50
    assert part.gather(asked).found_N.tolist() == (here & whole.gather(asked).found_N).tolist()
    assert np.array_equal(part.gather(asked).rows_NR, whole.gather(asked).rows_NR * here[:, None])
    assert np.array_equal(part.terms(asked).lengths(), whole.terms(asked).lengths() * here[:, None])


def test_a_replica_opens_no_file_of_the_shards_that_it_does_not_hold(folder: Path) -> None:
    for path in folder.glob("*-00000.pins"):
        path.unlink()
    assert PinStore.open(folder, shards=[1, 2, 3]).shards == (1, 2, 3)
    with pytest.raises(StoreCorrupt, match="shards 0 to 3"):
        PinStore.open(folder, shards=[4])


def test_the_parts_of_a_fan_out_make_the_whole(folder: Path) -> None:
    asked = [f"pin-{number}" for number in range(60)]
    shard_N = store.read_manifest(folder).shards_of(asked)
    rows = np.zeros((60, WIDTH), dtype=np.float16)
    for shard in range(4):
        mine = np.flatnonzero(shard_N == shard)
        rows[mine] = PinStore.open(folder, shards=[shard]).gather([asked[each] for each in mine]).rows_NR
    assert np.array_equal(rows, PinStore.open(folder).gather(asked).rows_NR)


def test_one_lookup_gives_rows_and_terms(folder: Path) -> None:
    opened, asked = PinStore.open(folder), ["pin-3", "gone", "pin-3", "pin-49"]
    found, rows, terms = opened.lookup(asked), opened.gather(asked), opened.terms(asked)
    assert np.array_equal(found.rows_NR, rows.rows_NR) and np.array_equal(found.found_N, rows.found_N)
    assert opened.holds(asked).tolist() == [True, False, True, True]
    assert np.array_equal(found.terms.terms, terms.terms) and np.array_equal(found.terms.offsets, terms.offsets)


def test_a_warm_store_is_the_same(folder: Path) -> None:
    opened = PinStore.open(folder)
    opened.warm()
    assert opened.gather(["pin-1"]).found_N.all()


def test_rows_of_eight_bits_are_off_by_half_a_step_of_their_part(tmp_path: Path) -> None:
    rows, pin_ids = rows_of(40) * np.array([1, 1, 1, 50, 50, 50]), [f"pin-{number}" for number in range(40)]
    store.build(tmp_path / "s", pin_ids, rows, terms_of(pin_ids), "student@0", dtype="int8", parts=(3, 3))
    found = PinStore.open(tmp_path / "s").gather([*pin_ids, "gone"]).rows_NR.astype(np.float32)
    for part in (slice(0, 3), slice(3, 6)):
        step = np.abs(rows[:, part]).max(axis=1, keepdims=True) / 127
        assert (np.abs(found[:40, part] - rows[:, part]) <= 0.501 * step + 1e-3 * np.abs(rows[:, part])).all()
    assert not found[40].any()


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreCorrupt, match="embed_pins"):
        PinStore.open(tmp_path)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(TableError, match=r"holds thesis\.txt"):
        build(tmp_path, ["a"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@given(st.lists(st.text(), unique=True), st.integers(1, 64))
def test_shards_follow_the_order_of_keys(pin_ids: list[str], num_shards: int) -> None:
    keys = np.sort(key_hashes(pin_ids))
    shards = share_of(keys, num_shards)
    assert (np.diff(shards) >= 0).all()
    assert ((shards >= 0) & (shards < num_shards)).all()
