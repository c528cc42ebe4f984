"""Large sections of a pin store lie where the kernel can map them in huge pages, and hold what they held before."""

from pathlib import Path

import numpy as np
import pytest

from pinrank import lexical
from pinrank.embeddings import segment, shard_file, store
from pinrank.embeddings.manifest import read_manifest
from pinrank.embeddings.shard_file import HUGE, sections
from pinrank.embeddings.store import PinStore

NUM_PINS, WIDTH = 200, 8


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store for which a few rows are many."""
    monkeypatch.setattr(shard_file, "LARGE", 1)
    monkeypatch.setattr(segment, "MANY", 1)
    pin_ids = [f"pin-{number}" for number in range(NUM_PINS)]
    terms = lexical.field_terms([{"locale": None, "title": pin_id} for pin_id in pin_ids])
    rows_PR = np.arange(NUM_PINS * WIDTH, dtype=np.float16).reshape(NUM_PINS, WIDTH)
    store.build(tmp_path / "pin_store", pin_ids, rows_PR, terms, "student@00000000", num_shards=3)
    return tmp_path / "pin_store"


def test_every_large_section_begins_at_a_multiple_of_a_huge_page_in_file_and_memory(large: Path) -> None:
    manifest, (held,) = read_manifest(large), PinStore.open(large)._segments
    for entry in held.entry.shards:
        found = sections(manifest.shape, held.entry.buckets, entry.rows, entry.terms)
        assert {each.offset % HUGE for each in found.values()} == {0}
    for base in held.bases_S:
        assert held.arrays["rows"][base].ctypes.data % HUGE == 0
        assert held.arrays["keys"][base : base + 1].ctypes.data % HUGE == 0


def test_what_went_in_comes_out(large: Path) -> None:
    opened = PinStore.open(large, verify=True)
    opened.warm()
    found = opened.lookup(["pin-7", "no such pin", "pin-199"])
    assert found.rows_NR[:, 0].tolist() == [7 * WIDTH, 0, 199 * WIDTH]
    assert found.found_N.tolist() == [True, False, True]
    assert found.terms.lengths()[[0, 2]].sum() == opened.terms(["pin-7", "pin-199"]).lengths().sum() > 0


def test_a_small_store_has_no_holes(tmp_path: Path) -> None:
    store.build(tmp_path, [], np.zeros((0, WIDTH), np.float16), lexical.field_terms([]), "student@00000000", 2)
    assert max(path.stat().st_size for path in tmp_path.glob("*.pins")) < HUGE
