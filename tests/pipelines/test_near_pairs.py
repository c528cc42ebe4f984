"""The way of grades to pins in other languages: pairs near in meaning, and what their grades become."""

from pathlib import Path

import pyarrow as pa
import pytest

from pinrank.pipeline import JobSettings, parse
from pinrank.tables import JUDGMENTS, PIN_TEXT, PINS, SAMPLED_PAIRS, SOFT_LABELS, Table, read, write
from pinrank.text import FIELDS, fingerprint, pair_key
from pipelines.pair_near_pins import PairNearPins
from pipelines.share_grades import ShareGrades
from tests.job import run_job

THINGS = {"red sofa": "rotes Sofa", "oak table": "Eichentisch", "wedding cake": "Hochzeitstorte", "blue car": "Auto"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images, each a pin in English and one in German; a train and a dev query of each."""
    pins, texts, judgments = [], [], []
    for thing, german in THINGS.items():
        for locale, title in (("en", thing), ("de", german)):
            pin = {"pin_id": f"{thing}@{locale}", "source": "photos", "locale": locale}
            pins.append(pin | {"title": title, "image_url": f"{thing}.jpg"})
            fields = dict.fromkeys(FIELDS, "") | {"title": title}
            texts.append(pin | fields | {"fingerprint": fingerprint(fields)})
        for split in ("train", "TRAIN", "dev"):
            query = f"a {thing} for {split}"
            asked = {
                "judgment_id": query,
                "query_id": query,
                "query": query,
                "query_locale": "en",
                "split": split.lower(),
            }
            judgments.append(asked | {"pin_id": f"{thing}@en", "level": 5, "source": "photos"})
    write_rows(tmp_path, PINS, pins)
    write_rows(tmp_path, PIN_TEXT, texts)
    write_rows(tmp_path, JUDGMENTS, judgments)
    query, pin_id = "a red sofa for train", "oak table@en"
    shown = {"pair_key": pair_key(query, pin_id), "query": query, "query_locale": "en", "pin_id": pin_id}
    write_rows(tmp_path, SAMPLED_PAIRS, [shown | {"source": "photos", "stratum": "all", "weight": 1.0}])
    return tmp_path


def write_rows(folder: Path, table: Table, rows: list[dict[str, object]]) -> None:
    write(pa.Table.from_pylist(rows, schema=table.schema), str(folder / table.name), table)


def test_train_queries_meet_near_pins_that_are_neither_judged_nor_sampled(folder: Path, root: Path) -> None:
    done = run_job(root, "pair_near_pins", "--tables", str(folder), "--pairs_per_query", "4")
    assert done.code == 0, done.told
    pairs = read(str(folder / "near_pairs"), SAMPLED_PAIRS).to_pylist()
    met = {(pair["query"].lower(), pair["pin_id"]) for pair in pairs}
    everything = {(f"a {query} for train", f"{pin}@en") for query in THINGS for pin in THINGS if pin != query}
    assert met == everything - {("a red sofa for train", "oak table@en")}
    assert done.summary["rows_out"] == len(pairs) == 11


def test_what_the_teacher_said_of_them_is_shared_with_the_pins_in_other_languages(folder: Path, root: Path) -> None:
    query, pin_id = "a blue car for train", "oak table@en"
    label = {"pair_key": pair_key(query, pin_id), "query": query, "query_locale": "en", "pin_id": pin_id, "weight": 1.0}
    said = {"source": "photos", "logits": [4.0, 3.0, 2.0, 1.0, 0.0], "num_tokens": 9, "teacher": "teacher@1"}
    prints = {pin["pin_id"]: pin["fingerprint"] for pin in read(str(folder / "pin_text"), PIN_TEXT).to_pylist()}
    write_rows(folder, SOFT_LABELS, [label | said | {"fingerprint": prints[pin_id]}])
    done = run_job(
        root,
        "share_grades",
        *("--tables", str(folder), "--soft_labels", str(folder / "soft_labels"), "--output", str(folder / "shared")),
    )
    assert done.code == 0, done.told
    (shared,) = read(str(folder / "shared"), SOFT_LABELS).to_pylist()
    assert (shared["query"], shared["pin_id"], shared["logits"]) == (query, "oak table@de", said["logits"])


def test_pins_without_siblings_make_no_pairs(folder: Path, root: Path) -> None:
    alone = [pin | {"image_url": pin["pin_id"]} for pin in read(str(folder / "pins"), PINS).to_pylist()]
    write_rows(folder, PINS, [*alone, {**alone[0], "pin_id": "new@de", "locale": "de"}])  # which has no text yet
    done = run_job(root, "pair_near_pins", "--tables", str(folder))
    assert (done.code, done.summary["rows_out"]) == (0, 0), done.told
    assert read(str(folder / "near_pairs"), SAMPLED_PAIRS).num_rows == 0


@pytest.mark.parametrize("profile", ["demo", "full"])
@pytest.mark.parametrize(("job", "settings"), [("pair_near_pins", PairNearPins), ("share_grades", ShareGrades)])
def test_settings_of_both_profiles_are_valid(root: Path, profile: str, job: str, settings: type[JobSettings]) -> None:
    assert parse(settings, ["--config", str(root / f"pipelines/configs/{profile}/{job}.yaml")])
