"""Statistics of whole tables, in one process and on Ray, and by increments."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinrank import lexical, parquet
from pinrank.cluster import ClusterSettings
from pinrank.errors import ModelError, TableError
from pinrank.lexical import collection
from pinrank.ray_units import Workers, WorkSettings
from pinrank.tables import PIN_TEXT, read
from pinrank.text import FIELDS, fingerprint

HERE = Workers(WorkSettings())
WORDS = lexical.WordSettings()


def write(path: Path, pins: dict[str, tuple[str, str]], num_files: int = 2) -> str:
    """A pin_text table of pin_id to (title, locale), in some files."""
    rows = []
    for pin_id, (title, locale) in pins.items():
        fields = dict.fromkeys(FIELDS, "") | {"title": title}
        rows.append({"pin_id": pin_id, "source": "s", "locale": locale or None, **fields})
        rows[-1]["fingerprint"] = fingerprint(fields)
    table = pa.Table.from_pylist(rows, PIN_TEXT.schema)
    with parquet.replaced(str(path), num_files) as folder:
        for number in range(num_files):
            parquet.write_part(table.take(pa.array(range(number, len(rows), num_files), pa.int64())), folder, number)
    return str(path)


def assert_equal(one: lexical.LexicalStats, other: lexical.LexicalStats) -> None:
    assert (one.num_docs, one.words) == (other.num_docs, other.words)
    for name in ("total_length", "terms", "df"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


SOME = {"a": ("red running shoes", "en"), "b": ("laufende Schuhe", "de"), "c": ("", ""), "d": ("red sofa", "")}


def test_a_table_counts_as_its_pins_do(tmp_path: Path) -> None:
    stats, counted = collection.fit_table(write(tmp_path / "t", SOME), WORDS, 1, HERE)
    pins = lexical.field_terms([{"title": title, "locale": locale} for title, locale in SOME.values()])
    assert_equal(stats, lexical.fit(pins))
    assert_equal(collection.fit_rows(read(str(tmp_path / "t"), PIN_TEXT)), stats)
    assert counted.num_pins == 4


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_ray_counts_what_one_process_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "t", SOME, num_files=4)
    here, there = (
        collection.fit_table(path, WORDS, 1, Workers(WorkSettings(), cluster)) for cluster in (None, ClusterSettings())
    )
    assert_equal(here[0], there[0])
    assert here[1] == there[1]


PINS = st.dictionaries(
    st.sampled_from("abcde"), st.tuples(st.sampled_from(["red", "red sofa", "casas", ""]), st.sampled_from(["", "pt"]))
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PINS, PINS)
def test_an_update_ends_where_counting_anew_does(
    tmp_path: Path, before: dict[str, tuple[str, str]], now: dict[str, tuple[str, str]]
) -> None:
    old, new = write(tmp_path / "old", before), write(tmp_path / "new", now)
    collection.save(*collection.fit_table(old, WORDS, 2, HERE), tmp_path / "lexical")
    updated, counted = collection.update(tmp_path / "lexical", old, new, 2, HERE)
    anew, counted_anew = collection.fit_table(new, WORDS, 2, HERE)
    assert_equal(updated, anew)
    assert counted == counted_anew


def test_statistics_of_another_table_are_not_updated(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", SOME), write(tmp_path / "new", SOME | {"a": ("blue", "en")})
    collection.save(*collection.fit_table(new, WORDS, 2, HERE), tmp_path / "lexical")
    with pytest.raises(ModelError, match="count 4 pins whose texts are not those of"):
        collection.update(tmp_path / "lexical", old, new, 2, HERE)
    (tmp_path / "lexical" / collection.MANIFEST).unlink()
    with pytest.raises(ModelError, match=r"no manifest\.json says which rows"):
        collection.update(tmp_path / "lexical", new, new, 2, HERE)


def test_statistics_are_opened_for_the_rows_that_they_count_and_no_others(tmp_path: Path) -> None:
    path = write(tmp_path / "t", SOME)
    stats, counted = collection.fit_table(path, WORDS, 2, HERE)
    collection.save(stats, counted, tmp_path / "lexical")
    pin_text = read(path, PIN_TEXT)
    assert_equal(collection.open_for(tmp_path / "lexical", pin_text), stats)
    with pytest.raises(ModelError, match="count 4 pins whose texts are not those of pin_text"):
        collection.open_for(tmp_path / "lexical", pin_text.slice(1))
    with pytest.raises(ModelError, match="Give both jobs the same words"):
        collection.open_for(tmp_path / "lexical", pin_text, lexical.WordSettings(stems="none"))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file or folder"):
        collection.fit_table(str(tmp_path / "t"), WORDS, 2, HERE)
