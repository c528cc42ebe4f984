"""The specification says the same offline and online, or refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from pinrank import lexical
from pinrank.errors import ModelError
from pinrank.student import features
from pinrank.student.features import FeatureSpec


def spec() -> FeatureSpec:
    raw = np.arange(3 * len(features.NAMES), dtype=np.float32).reshape(3, -1)
    return features.fit(raw)


def test_fitted_features_have_mean_zero_and_deviation_one() -> None:
    raw = np.random.default_rng(0).normal(3, 2, (500, len(features.NAMES))).astype(np.float32)
    raw[:, 4] = 7.0
    normal = features.fit(raw).normalise(raw)
    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.delete(normal, 4, axis=1).std(axis=0), 1, atol=1e-3)
    assert not normal[:, 4].any()  # a feature that never varies says nothing


def test_outliers_are_cut() -> None:
    raw = np.full((1, len(features.NAMES)), 1e6, dtype=np.float32)
    assert (spec().normalise(raw) == 6.0).all()


def test_raw_features_stand_in_the_order_of_their_names() -> None:
    rows = [
        {"locale": None, "title": "weeknight pasta", "link_title": "easy pasta"},
        {"locale": "en", "description": "sofa"},
    ]
    pins = lexical.field_terms(rows)
    raw = features.raw_features([lexical.query_terms("easy pasta tonight")], pins, lexical.fit(pins), np.array([0, 0]))
    first, second = (dict(zip(features.NAMES, row.tolist(), strict=True)) for row in raw)
    assert first["matched.title"] == pytest.approx(1 / 3)
    assert first["matched.all"] == pytest.approx(2 / 3)
    assert first["bm25.title"] > 0 == first["bm25.caption"]
    assert first["query_terms"] == pytest.approx(np.log(4))
    assert first["pin_terms"] == pytest.approx(np.log(5))
    assert first["title_terms"] == pytest.approx(np.log(3))
    assert (first["filled_fields"], second["filled_fields"]) == (2, 1)
    assert second["bm25.all"] == 0


def test_a_specification_survives_saving(tmp_path: Path) -> None:
    spec().save(tmp_path)
    opened = FeatureSpec.open(tmp_path)
    assert opened == spec()
    assert opened.hash == spec().hash
    assert json.loads((tmp_path / features.SPEC_FILE).read_text())["hash"] == opened.hash


def test_the_hash_depends_on_every_number() -> None:
    changed = spec().model_copy(update={"mean": (*spec().mean[:-1], 0.125)})
    assert FeatureSpec.model_validate(changed.model_dump()).hash != spec().hash


@pytest.mark.parametrize(
    "change",
    [{"names": ["bm25.title"]}, {"mean": [0.0]}, {"limit": 9.0}, {"hash": "0000"}, {"std": [0.0] * 20}, {"extra": 1}],
)
def test_an_altered_specification_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    spec().save(tmp_path)
    path = tmp_path / features.SPEC_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=r"feature_spec\.json"):
        FeatureSpec.open(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_specification_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / features.SPEC_FILE).write_text(content)
    with pytest.raises(ModelError, match=r"feature_spec\.json"):
        FeatureSpec.open(tmp_path)
