"""Which pins an id finds."""

from pathlib import Path

import numpy as np
import pytest

from pinrank.embeddings import store
from pinrank.embeddings.store import PinStore
from pinrank.lexical import field_terms
from serve_apps.rerank.pin_embeddings import lookup

COMPOSED, APART = "caf\u00e9", "cafe\u0301"
"""One id in two spellings: build_pin_text writes the first."""


def made(folder: Path, pin_ids: list[str]) -> PinStore:
    rows_PR = np.arange(1, len(pin_ids) + 1, dtype=np.float16)[:, None]
    terms = field_terms([{"locale": None, "title": pin_id} for pin_id in pin_ids])
    store.build(folder, pin_ids, rows_PR, terms, "student@00000000")
    return PinStore.open(folder)


@pytest.mark.parametrize("sent", [COMPOSED, APART, f"{APART}\u200b", f"\x00{COMPOSED}"])
def test_an_id_finds_its_pin_in_any_spelling(tmp_path: Path, sent: str) -> None:
    found = lookup(made(tmp_path, [COMPOSED, "plain"]), ["gone", sent, "plain"])
    assert found.found_N.tolist() == [False, True, True]
    assert found.rows_NR[:, 0].tolist() == [0, 1, 2]


def test_a_store_that_holds_another_spelling_is_found_by_it(tmp_path: Path) -> None:
    assert lookup(made(tmp_path, [APART]), [APART, "gone"]).found_N.tolist() == [True, False]
