"""pinrank.evaluation.baselines: BM25 a source, the frozen MiniLM, and levels learned from scores."""

from pathlib import Path

import numpy as np
import pytest

from pinrank.evaluation.baselines import bm25, fit_collections, fit_levels, frozen_cosine, search_cosine
from pinrank.text import FIELDS, TextSettings
from tests.tiny_models import tiny_search_embedding

PHOTO_CAT = {"source": "photos", "locale": None, "title": "a cat on a sofa"}
PHOTO_DOG = {"source": "photos", "locale": None, "title": "a dog in the park"}
SHOP_CAT = {"source": "shop", "locale": "en", "title": "cat food"}
SHOP_OTHERS = [{"source": "shop", "locale": "en", "title": f"cat toy {number}"} for number in range(8)]
UNNAMED = {"source": None, "locale": None, "title": "a cat"}
CATALOGUE = [PHOTO_CAT, PHOTO_DOG, SHOP_CAT, *SHOP_OTHERS, UNNAMED]


def test_bm25_takes_statistics_from_the_pins_of_the_same_source() -> None:
    collections = fit_collections(CATALOGUE, {"photos", "shop"})
    assert {source: stats.num_docs for source, stats in collections.items()} == {"photos": 2, "shop": 9}
    scores = bm25([("cat", PHOTO_CAT), ("cat", SHOP_CAT), ("cat", PHOTO_DOG)], collections)
    assert scores[0] > scores[1] > scores[2] == 0  # every product is about cats, so the word says little there


def test_bm25_treats_pins_without_a_source_as_one_collection() -> None:
    assert bm25([("cat", UNNAMED)], fit_collections(CATALOGUE, {""}))[0] > 0
    assert bm25([], {}).shape == (0,)


def test_frozen_cosine_is_the_published_models() -> None:
    pairs = [("a cat", PHOTO_CAT), ("a cat", PHOTO_DOG), ("a cat on a sofa", PHOTO_CAT)]
    cosines = frozen_cosine(pairs, "all-MiniLM-L6-v2", TextSettings(), "float32")
    assert cosines[2] == pytest.approx(1.0, abs=1e-5)
    assert cosines[0] > cosines[1] + 0.2
    np.testing.assert_allclose(cosines, frozen_cosine(pairs, "all-MiniLM-L6-v2", TextSettings(), "auto"), atol=0.02)


def test_search_cosine_is_that_of_the_towers_in_the_folder(tiny_bert_dir: Path, tmp_path: Path) -> None:
    tiny_search_embedding(tmp_path / "search", tiny_bert_dir)
    named = {**dict.fromkeys(FIELDS, ""), **PHOTO_CAT}
    cosines = search_cosine([("A  CAT on a sofa", named), ("a dog", named)], str(tmp_path / "search"), "float32")
    assert cosines[0] == pytest.approx(1.0, abs=1e-5)  # one tower, one text: a query is normalised before it is read
    assert cosines[1] < 1 - 1e-4


def test_levels_follow_the_score_within_each_source() -> None:
    random = np.random.default_rng(0)
    levels = random.choice([1, 5], 400)
    sources = np.repeat(["low", "high"], 200)
    scores = levels + np.where(sources == "high", 100.0, 0.0) + random.normal(scale=0.5, size=400)
    learned = fit_levels(scores, levels, sources)
    assert (learned.levels(scores, sources) == levels).mean() > 0.99


def test_an_unknown_source_takes_its_levels_from_all_sources_together() -> None:
    levels = np.repeat([1, 5], 60)
    learned = fit_levels(levels * 2.0, levels, np.full(120, "known"))
    assert learned.levels(np.array([1.0, 11.0]), np.array(["new", "new"])).tolist() == [1, 5]


def test_a_source_with_one_level_or_few_pairs_still_gets_levels() -> None:
    levels = np.array([5] * 60 + [1, 2, 3])
    sources = np.array(["same"] * 60 + ["few"] * 3)
    learned = fit_levels(np.arange(63.0), levels, sources)
    assert set(learned.by_source) == {"", "same"}
    assert learned.levels(np.array([-5.0]), np.array(["same"])).tolist() == [5]
    assert 1 <= learned.levels(np.array([61.0]), np.array(["few"]))[0] <= 5
