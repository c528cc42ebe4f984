"""Snapshots that grow by deltas: what the newest segment says holds, whatever was merged."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinrank import lexical
from pinrank.embeddings import batch, pin_keys, snapshot
from pinrank.embeddings.batch import Batch
from pinrank.embeddings.manifest import Manifest, Shape, read_manifest
from pinrank.embeddings.snapshot import HashCollision, Made, Merging, build_from, compact, update
from pinrank.embeddings.store import PinStore
from pinrank.errors import CommitError, ModelError

STUDENT = "student@00000000"
NEVER = Merging(max_deltas=100, max_delta_share=1)
IDS = tuple("abcdefghij")
WIDTH = 3


def pins(named: dict[str, int]) -> Batch:
    """Pins whose rows and terms follow from a number."""
    rows = np.repeat(np.array(list(named.values()), dtype=np.float32)[:, None], WIDTH, axis=1)
    texts = [{"locale": None, "title": "word " * (number % 4), "caption": str(number)} for number in named.values()]
    stamps = np.array(list(named.values()), dtype=np.uint64) + np.uint64(1)
    return Batch(list(named), rows.reshape(-1, WIDTH), lexical.field_terms(texts), stamps)


def built(folder: Path, named: dict[str, int], num_shards: int = 2, dtype: str = "float16") -> Manifest:
    shape = Shape(row_width=WIDTH, num_fields=len(lexical.READ) - 1, dtype=dtype, parts=(1, 2))
    return build_from(folder, lambda: [pins(named)], Made(STUDENT, shape, num_shards))


def grown(folder: Path, named: dict[str, int], gone: set[str], merging: Merging = NEVER) -> Manifest:
    keys = read_manifest(folder).keys(sorted(gone))
    return update(folder, STUDENT, lambda: [pins(named)], keys, merging)


def holds(folder: Path, named: dict[str, int]) -> bool:
    """Whether a store has these pins, and none of the others of IDS."""
    opened = PinStore.open(folder, verify=True)
    found = opened.lookup(IDS)
    known = {pin_id: number for pin_id, number in named.items() if pin_id in IDS}
    wanted = pins({pin_id: known.get(pin_id, 0) for pin_id in IDS})
    here = np.array([pin_id in known for pin_id in IDS])
    lengths = wanted.terms.lengths() * here[:, None]
    terms = wanted.terms.take(np.flatnonzero(here)).terms
    return (
        len(opened) == len(named)
        and np.array_equal(found.found_N, here)
        and np.array_equal(found.rows_NR, wanted.rows_PR * here[:, None])
        and np.array_equal(found.terms.lengths(), lengths)
        and np.array_equal(found.terms.terms, terms)
    )


STEPS = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(IDS), st.integers(0, 100)), st.sets(st.sampled_from(IDS))), max_size=3
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.dictionaries(st.sampled_from(IDS), st.integers(0, 100)), steps=STEPS, most=st.integers(1, 3))
def test_after_any_increments_a_store_holds_what_a_dictionary_would(
    tmp_path: Path, first: dict[str, int], steps: list[tuple[dict[str, int], set[str]]], most: int
) -> None:
    built(tmp_path / "s", first, num_shards=1)
    wanted = dict(first)
    for named, gone in steps:
        gone -= named.keys()
        grown(tmp_path / "s", named, gone, Merging(max_deltas=most, max_delta_share=1))
        wanted = {pin_id: number for pin_id, number in (wanted | named).items() if pin_id not in gone}
        assert holds(tmp_path / "s", wanted)
    compact(tmp_path / "s")
    assert holds(tmp_path / "s", wanted)
    assert len(read_manifest(tmp_path / "s").segments) == 1


def test_a_delta_is_small_and_leaves_the_base_alone(tmp_path: Path) -> None:
    before = built(tmp_path, {f"pin-{number}": 1 for number in range(20_000)})
    base = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.pins")}
    after = grown(tmp_path, {"pin-7": 2, "new": 3}, {"pin-8"})
    assert (len(after.segments), after.num_pins) == (2, 20_000)
    assert {path: path.stat().st_mtime_ns for path in base} == base
    assert sum(shard.num_bytes for shard in after.segments[1].shards) < 400_000
    assert before.snapshot != after.snapshot
    assert PinStore.open(tmp_path).gather(["pin-7", "pin-8", "new"]).rows_NR[:, 0].tolist() == [2, 0, 3]


def test_many_deltas_become_one_and_large_ones_go_into_the_base(tmp_path: Path) -> None:
    built(tmp_path, dict.fromkeys(IDS, 1))
    few = Merging(max_deltas=2, max_delta_share=0.9)
    numbers = [len(grown(tmp_path, {"a": number}, {"b"}, few).segments) for number in range(3)]
    assert numbers == [2, 3, 2]
    assert len(grown(tmp_path, dict.fromkeys(IDS, 5), set(), few).segments) == 1
    assert {path.name for path in tmp_path.iterdir()} == {*read_manifest(tmp_path).files(), "manifest.json", ".lock"}


def test_a_snapshot_stays_open_while_its_files_are_replaced(tmp_path: Path) -> None:
    built(tmp_path, {"a": 1, "b": 2})
    old = PinStore.open(tmp_path)
    grown(tmp_path, {"a": 3}, {"b"})
    compact(tmp_path)
    assert old.gather(["a", "b"]).rows_NR[:, 0].tolist() == [1, 2]
    assert PinStore.open(tmp_path).gather(["a", "b"]).rows_NR[:, 0].tolist() == [3, 0]


def test_deleting_a_pin_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    built(tmp_path, {"a": 1})
    assert grown(tmp_path, {}, {"z"}).num_pins == 1
    assert holds(tmp_path, {"a": 1})


def test_a_delta_of_another_student_is_refused(tmp_path: Path) -> None:
    built(tmp_path, {"a": 1})
    with pytest.raises(ModelError, match=r"student@0{8}, these are of other@1"):
        update(tmp_path, "other@1", lambda: [pins({"b": 1})])


def test_an_id_that_comes_twice_in_two_batches_is_named(tmp_path: Path) -> None:
    shape = Shape(row_width=WIDTH, num_fields=7, parts=(WIDTH,))
    with pytest.raises(ValueError, match="1 pin ids come twice: 'b'"):
        build_from(tmp_path, lambda: [pins({"a": 1, "b": 2}), pins({"b": 3})], Made(STUDENT, shape))


def test_two_writers_never_share_a_folder(tmp_path: Path) -> None:
    built(tmp_path, {"a": 1})
    with snapshot._writing(tmp_path), pytest.raises(CommitError, match="another job writes here"):
        grown(tmp_path, {"b": 1}, set())


def narrow(monkeypatch: pytest.MonkeyPatch, first_seed: int) -> None:
    """Hashes of four values only under seeds below first_seed."""

    def hashes(pin_ids: list[str], seed: int = 0) -> np.ndarray:
        wide = pin_keys.key_hashes(pin_ids, seed)
        return wide & np.uint64(3) if seed < first_seed else wide

    monkeypatch.setattr("pinrank.embeddings.batch.key_hashes", hashes)
    monkeypatch.setattr("pinrank.embeddings.manifest.key_hashes", hashes)


def test_a_collision_is_resolved_by_another_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch, first_seed=2)
    named = {pin_id: number for number, pin_id in enumerate(IDS)}
    assert built(tmp_path, named).seed == 2
    assert holds(tmp_path, named)


def test_a_collision_under_every_seed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch, first_seed=snapshot.SEEDS)
    with pytest.raises(HashCollision):
        built(tmp_path, dict.fromkeys(IDS, 1))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_new_pin_with_the_key_of_another_is_refused_and_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch, first_seed=snapshot.SEEDS)
    before = built(tmp_path, {"a": 1})
    same = next(pin_id for pin_id in IDS[1:] if before.keys([pin_id]) == before.keys(["a"]))
    with pytest.raises(HashCollision, match="has the hash of another"):
        grown(tmp_path, {same: 1}, set())
    assert read_manifest(tmp_path) == before
    assert grown(tmp_path, {"a": 2}, set()).num_pins == 1


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_merged_segments_hold_the_same_numbers(tmp_path: Path, dtype: str) -> None:
    built(tmp_path, {pin_id: place for place, pin_id in enumerate(IDS)}, dtype=dtype)
    grown(tmp_path, {"a": 50}, {"b"})
    before = PinStore.open(tmp_path).gather(IDS)
    compact(tmp_path)
    after = PinStore.open(tmp_path).gather(IDS)
    assert np.array_equal(before.rows_NR, after.rows_NR) and np.array_equal(before.found_N, after.found_N)


def test_damage_does_not_spread_by_merging(tmp_path: Path) -> None:
    built(tmp_path, {"a": 1}, num_shards=1)
    grown(tmp_path, {"b": 1}, set())
    path = sorted(tmp_path.glob("*.pins"))[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        compact(tmp_path)


def test_a_stamp_is_never_that_of_a_pin_that_is_gone() -> None:
    columns = Batch(["a"], np.ones((1, 1)), lexical.field_terms([{"locale": None}]), np.zeros(1, np.uint64)).columns(
        Shape(row_width=1, num_fields=7, parts=(1,)), 0
    )
    assert columns["stamps"][0] != batch.DELETED
