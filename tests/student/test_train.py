"""Training end to end with a student of random weights: that it learns, and that no kill changes what comes out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank import lexical, tables
from pinrank.embeddings.encode import EncodingSettings, embed, vectors_of
from pinrank.errors import ModelError, TableError
from pinrank.levels import probabilities, score
from pinrank.lexical import collection
from pinrank.search_embedding.pairs import PAIRS
from pinrank.student import fit as fitting
from pinrank.student import label_files, prepare
from pinrank.student import train as training
from pinrank.student.declaration import Declaration, read_declaration
from pinrank.student.encoder import TextEncoder
from pinrank.student.examples import EXAMPLES, human_targets
from pinrank.student.export import StudentCard, open_student
from pinrank.student.feature_tables import Inputs, inputs_of
from pinrank.student.features import FeatureSpec
from pinrank.student.label_files import find
from pinrank.student.settings import RetrievalSettings, StudentSettings, TowerSettings
from pinrank.student.tower_folder import save_tower, tokenizer_of
from pinrank.student.towers import build_towers
from pinrank.student.train import QUARANTINE, Labels, train
from pinrank.tables import PIN_TEXT, SOFT_LABELS
from pinrank.text import FIELDS, fingerprint
from pinrank.tracking import OFF, TrackingSettings
from tests.student.featured import STRING, write

THINGS = ("pasta", "sofa", "cake", "lamp")
NUM_PINS = 40
"""Two of each text: pins may share one."""

KILL_DEADLINE_S = 180

TRAIN_ALONE = """
import sys
from pathlib import Path
from pinrank.cluster import ClusterSettings, connect
from pinrank.student.settings import StudentSettings
from tests.student.test_train import distilled
connect(ClusterSettings(num_cpus=2, dashboard=False))
distilled(StudentSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def pin_text() -> pa.Table:
    fields = [
        dict.fromkeys(FIELDS, "") | {"title": f"{THINGS[place % 4]} number {place % 20}"} for place in range(NUM_PINS)
    ]
    rows = [{"pin_id": f"pin-{place:02d}", **row, "fingerprint": fingerprint(row)} for place, row in enumerate(fields)]
    return pa.Table.from_pylist(rows, schema=PIN_TEXT.schema)


def examples() -> pa.Table:
    """A pin is L5 for the thing that it shows and L1 for all others."""
    rows = []
    for thing in THINGS:
        for pin in pin_text().to_pylist():
            level = 5 if pin["title"].startswith(thing) else 1
            target = human_targets(np.array([level]))[0].tolist()
            known = {
                "query": thing,
                "query_locale": None,
                "source": "s",
                "temperature": 1.0,
                "weight": 1.0,
                "grade": (level - 1) / 4,
            }
            rows.append({**pin, **known, "target": target})
    return pa.Table.from_pylist(rows, schema=EXAMPLES)


def soft_labels(**changes: object) -> pa.Table:
    """The same relation as a teacher's logits."""
    rows = [
        {"pair_key": f"{thing} {pin['pin_id']}", "query": thing, "source": "s", "weight": 1.0, "teacher": "teacher@0"}
        | {"pin_id": pin["pin_id"], "fingerprint": pin["fingerprint"]}
        | {"logits": [0, 0, 0, 0, 3] if pin["title"].startswith(thing) else [3, 0, 0, 0, 0]}
        | changes
        for thing in THINGS
        for pin in pin_text().to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=SOFT_LABELS.schema)


def chosen(settings: StudentSettings, **changes: object) -> StudentSettings:
    """Trained in this process unless it says otherwise."""
    few = {"batch_size": 16, "ranker_learning_rate": 0.05, "num_workers": 0, "cpus_per_worker": 1}
    return settings.model_copy(update={**few, "threads_per_worker": 1, **changes})


def trained(settings: StudentSettings, folder: Path, num_dev: int = 100) -> StudentCard:
    rows = examples()
    return train(rows, rows.slice(0, num_dev), pin_text(), settings, "tiny", str(folder), {"teacher": ["teacher@0"]})


def distilled(
    settings: StudentSettings,
    labels: Path,
    folder: Path,
    max_unusable_share: float = 0.0,
    tracking: TrackingSettings = OFF,
) -> StudentCard:
    """From soft labels on disk alone; the epoch is chosen on human grades."""
    rows = examples()
    found = Labels(find([str(labels)]), max_unusable_share)
    learnt = (rows.slice(0, 0), rows.slice(0, 60), pin_text(), settings, "tiny", str(folder), {}, found)
    return train(*learnt, tracking=tracking)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels") / "soft_labels"
    tables.write(soft_labels(), str(folder), SOFT_LABELS)
    return folder


def test_a_student_learns_and_is_published(tiny_settings: StudentSettings, tmp_path: Path):
    card = trained(chosen(tiny_settings, epochs=3), tmp_path / "student")
    student = open_student(tmp_path / "student")
    pairs = [(thing, row) for thing in THINGS for row in pin_text().to_pylist()]
    scores = score(probabilities(student.grade(pairs)))
    relevant = np.array([row["title"].startswith(thing) for thing, row in pairs])
    assert scores[relevant].min() > scores[~relevant].max()
    assert card == student.card
    assert card.metrics["dev_spearman"] > 0.7  # grades are all 0 or 1: a perfect order of many ties is 0.75
    assert card.lineage["teacher"] == ["teacher@0"]
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_weights_count_by_how_they_differ_alone(tiny_settings: StudentSettings, tmp_path: Path):
    rows = examples()
    halves = rows.set_column(
        rows.schema.get_field_index("weight"), "weight", pa.array([0.5] * rows.num_rows, pa.float32())
    )
    settings = chosen(tiny_settings, epochs=1, backbone="hashed/500")
    one, half = (
        train(learning, rows.slice(0, 0), pin_text(), settings, "tiny", str(tmp_path / name), {})
        for name, learning in (("one", rows), ("half", halves))
    )
    assert one.version == half.version


def test_a_student_reads_pins_as_the_statistics_of_its_collection_do(tiny_settings: StudentSettings, tmp_path: Path):
    words = lexical.WordSettings(stems="none")
    inputs = Inputs(read_declaration(), lexical=collection.fit_rows(pin_text(), words))
    rows = examples().slice(0, 40)
    train(
        rows,
        rows.slice(0, 0),
        pin_text(),
        chosen(tiny_settings),
        "tiny",
        str(tmp_path / "student"),
        {},
        None,
        inputs=inputs,
    )
    assert open_student(tmp_path / "student").stats.words == words


def test_a_category_that_enough_of_all_labels_have_is_learnt_however_few_are_drawn(
    tiny_settings: StudentSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for module, name in ((label_files, "SAMPLED_ROWS"), (training, "SAMPLED_ROWS"), (fitting, "SAMPLE")):
        monkeypatch.setattr(module, name, 50)
    drawn: list[pa.Table] = []

    def noted(declared: Declaration, sample: pa.Table, *rest: Any) -> FeatureSpec:
        drawn.append(sample.slice(0, 50))
        return fitting.fit(declared, sample, *rest)

    monkeypatch.setattr(training, "fit_spec", noted)
    write(tmp_path, tables.QUERY_FEATURES, [{"query": "query 0", "query_locale": None, "intent": "buy"}], intent=STRING)
    of_20_pins = soft_labels().slice(0, 20).to_pylist()
    rows = [
        row | {"query": f"query {number}", "pair_key": f"{number} {row['pin_id']}"}
        for number in range(50)
        for row in of_20_pins
    ]
    tables.write(pa.Table.from_pylist(rows, SOFT_LABELS.schema), str(tmp_path / "labels"), SOFT_LABELS)
    inputs = inputs_of(Declaration.model_validate({"query": {"categorical": {"intent": {}}}}), str(tmp_path))
    settings, labels = chosen(tiny_settings, backbone="hashed/500", epochs=1, batch_size=256), str(tmp_path / "labels")
    people, none = examples(), examples().slice(0, 0)
    folder = str(tmp_path / "student")
    train(people, none, pin_text(), settings, "tiny", folder, {}, Labels(find([labels])), inputs=inputs)
    assert open_student(folder).spec.vocabularies == {"query.intent": ("buy",)}
    assert 0 < drawn[0]["grade"].null_count < 50  # labels and judgments alike


def test_a_student_learns_from_what_only_the_tables_know(tiny_settings: StudentSettings, tmp_path: Path):
    good = {pin["pin_id"]: place % 3 == 0 for place, pin in enumerate(pin_text().to_pylist())}
    shown = [{"pin_id": pin_id, "shop": "good" if is_good else "bad"} for pin_id, is_good in good.items()]
    write(tmp_path, tables.PIN_FEATURES, shown, shop=STRING)
    rows = [
        row | {"target": [0.0, 0.0, 0.0, 0.1, 0.9] if good[row["pin_id"]] else [0.9, 0.1, 0.0, 0.0, 0.0]}
        for row in examples().to_pylist()
    ]
    learning = pa.Table.from_pylist(rows, schema=EXAMPLES)
    inputs = inputs_of(Declaration.model_validate({"pin": {"categorical": {"shop": {"dim": 2}}}}), str(tmp_path))
    settings, folder = chosen(tiny_settings, epochs=4, encoder_learning_rate=1e-9), str(tmp_path / "student")
    train(learning, learning.slice(0, 0), pin_text(), settings, "tiny", folder, {}, inputs=inputs)
    student = open_student(folder).with_tables(inputs.tables)
    scores = score(probabilities(student.grade([("pasta", row) for row in pin_text().to_pylist()], "float32")))
    relevant = np.array(list(good.values()))
    assert scores[relevant].min() > scores[~relevant].max()


@pytest.mark.ray
@pytest.mark.slow
def test_two_workers_learn_from_labels_on_disk_and_the_student_embeds_each_pin(
    ray_session: None, tiny_settings: StudentSettings, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prepare, "ROWS_PER_STRETCH", 32)
    settings = chosen(tiny_settings, epochs=3, num_workers=2)
    card = distilled(settings, labels, tmp_path / "student", tracking=TrackingSettings())
    assert card.metrics["dev_spearman"] > 0.7
    assert card.lineage["num_soft_labels"] == 160
    course = [json.loads(line) for line in (tmp_path / "student.training.jsonl").read_text().splitlines()]
    assert (course[0]["steps"], course[0]["from_step"]) == (3 * 160 // 32, 0)
    assert [line["step"] for line in course if "loss" in line] == [0, course[0]["steps"] - 1]  # the first worker alone
    spearman = [line["dev_spearman"] for line in course if "dev_spearman" in line]
    assert len(spearman) == 3 and max(spearman) == card.metrics["dev_spearman"]
    assert course[-1]["ended"] == "finished"
    embeddings = embed(pin_text(), str(tmp_path / "student"), EncodingSettings(precision="float32"))
    student = open_student(tmp_path / "student")
    assert embeddings["pin_id"].to_pylist() == pin_text()["pin_id"].to_pylist()
    assert set(embeddings["encoder"].to_pylist()) == {student.version}
    wanted = student.encode_pins(student.pin_texts(pin_text().to_pylist()), "float32")
    np.testing.assert_allclose(vectors_of(embeddings), wanted, atol=2e-3)


def test_with_frozen_towers_the_mlp_learns_and_the_backbone_is_published_as_it_was(
    tiny_settings: StudentSettings, tiny_bert_dir: Path, labels: Path, tmp_path: Path
):
    frozen = chosen(tiny_settings, frozen_towers=True, epochs=6, ranker_learning_rate=0.02)
    card = distilled(frozen, labels, tmp_path / "student")
    assert card.metrics["dev_spearman"] > 0.7
    texts = ["sofa number 1", "a cake"]
    published = TextEncoder.open(tmp_path / "student/encoder").encode(texts, 16)
    np.testing.assert_array_equal(published, TextEncoder.open(tiny_bert_dir).encode(texts, 16))


def test_a_student_without_a_backbone_learns_is_published_and_can_be_gone_on_from(
    tiny_settings: StudentSettings, labels: Path, tmp_path: Path
):
    hashed = tiny_settings.model_copy(update={"backbone": "hashed/500", "encoder_learning_rate": 1e-2})
    card = distilled(chosen(hashed, epochs=2), labels, tmp_path / "student")
    assert card.metrics["dev_spearman"] > 0.7
    assert open_student(tmp_path / "student").encode_queries(["pasta"]).shape == (1, 128)
    again = hashed.model_copy(update={"backbone": str(tmp_path / "student"), "frozen_towers": True})
    assert distilled(chosen(again, epochs=1), labels, tmp_path / "again").vector_dim == 128
    with pytest.raises(ModelError, match="cannot be frozen"):
        distilled(chosen(hashed, frozen_towers=True), labels, tmp_path / "third")


def test_a_student_is_cut_to_the_widths_that_it_was_trained_for(tiny_settings: StudentSettings, tmp_path: Path):
    tower = TowerSettings(output_dim=32, dims=(4, 8))
    card = trained(
        chosen(tiny_settings, backbone="hashed/500", tower=tower, encoder_learning_rate=1e-2, epochs=3),
        tmp_path / "student",
    )
    assert card.dims == (4, 8)
    assert min(card.metrics["dev_spearman_at_4"], card.metrics["dev_spearman_at_8"]) > 0.7
    whole = open_student(tmp_path / "student")
    cut = whole.cut(8)
    assert (cut.vector_dim, cut.version) == (8, f"{whole.version}:8")
    texts = whole.pin_texts(pin_text().to_pylist())
    rows_of_whole_vectors = cut.pin_rows(whole.encode_pins(texts, "float32"))
    np.testing.assert_array_equal(rows_of_whole_vectors, cut.pin_rows(cut.encode_pins(texts, "float32")))
    assert rows_of_whole_vectors.shape == (NUM_PINS, 8 + whole.hidden)
    pairs = [(thing, row) for thing in THINGS for row in pin_text().to_pylist()]
    relevant = np.array([row["title"].startswith(thing) for thing, row in pairs])
    scores = score(probabilities(cut.grade(pairs)))
    assert scores[relevant].min() > scores[~relevant].max()
    with pytest.raises(ModelError, match="was trained for vectors of 4, 8, 32 numbers, not 5"):
        whole.cut(5)


def test_both_objectives_are_learnt_at_every_width(tiny_settings: StudentSettings, tmp_path: Path):
    pairs = [{"query": "alpha", "pin": "one", "weight": 1.0, "held_out": False}]
    pairs += [{"query": "beta", "pin": "two", "weight": 1.0, "held_out": False}]
    settings = chosen(
        tiny_settings,
        backbone="hashed/500",
        tower=TowerSettings(output_dim=16, dims=(4,)),
        encoder_learning_rate=5e-2,
        epochs=2,
        retrieval=RetrievalSettings(weight=1.0, batch_size=2),
    )
    rows = examples()
    engaged = pa.Table.from_pylist(pairs, PAIRS)
    train(rows, rows.slice(0, 0), pin_text(), settings, "tiny", str(tmp_path / "student"), {}, engaged=engaged)
    cut = open_student(tmp_path / "student").cut(4)
    cosines = cut.encode_queries(["alpha", "beta"]) @ cut.encode_pins(["one", "two"], "float32").T
    assert np.diag(cosines).min() > max(cosines[0, 1], cosines[1, 0]) + 0.25


def test_a_second_objective_brings_queries_near_what_people_engaged_with(
    tiny_settings: StudentSettings, tmp_path: Path
):
    words = ["alpha", "beta", "gamma", "delta"]  # of no soft label
    pins = [f"{thing} number 1" for thing in THINGS]
    pairs = [
        {"query": word, "pin": pin, "weight": 1.0, "held_out": False} for word, pin in zip(words, pins, strict=True)
    ]
    settings = chosen(
        tiny_settings,
        backbone="hashed/500",
        encoder_learning_rate=1e-2,
        epochs=1,
        retrieval=RetrievalSettings(weight=1.0, batch_size=4),
    )
    rows, engaged = examples(), pa.Table.from_pylist(pairs, PAIRS)
    train(rows, rows.slice(0, 0), pin_text(), settings, "tiny", str(tmp_path / "student"), {}, engaged=engaged)
    student = open_student(tmp_path / "student")
    cosines = student.encode_queries(words) @ student.encode_pins(pins, "float32").T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.diag(cosines).min() > 0.5


def test_training_goes_on_from_a_students_towers(tiny_settings: StudentSettings, labels: Path, tmp_path: Path):
    small = tiny_settings.model_copy(update={"tower": TowerSettings(shared=False, pooling="first", output_dim=8)})
    distilled(chosen(small, epochs=1), labels, tmp_path / "one")
    again = small.model_copy(update={"backbone": str(tmp_path / "one"), "frozen_towers": True})
    distilled(chosen(again, epochs=1), labels, tmp_path / "two")
    weights = [sorted((tmp_path / name).glob("*encoder/*.safetensors")) for name in ("one", "two")]
    assert [path.read_bytes() for path in weights[0]] == [path.read_bytes() for path in weights[1]]
    assert len(weights[0]) == 4
    one_tower = chosen(again, tower=TowerSettings(), frozen_towers=False)
    with pytest.raises(ModelError, match=r"Set tower\.shared to false"):
        distilled(one_tower, labels, tmp_path / "three")


@pytest.mark.parametrize(
    ("tower", "said"),
    [
        (TowerSettings(), r"Set tower\.shared to false"),
        (TowerSettings(shared=False, output_dim=16), r"tower\.output_dim wants 16"),
        (TowerSettings(shared=False, dims=(4, 8)), "8 is no smaller width of vectors of 8 numbers"),
    ],
)
def test_frozen_towers_that_the_settings_do_not_fit_are_refused_before_anything_is_prepared(
    tiny_settings: StudentSettings, labels: Path, tmp_path: Path, tower: TowerSettings, said: str
):
    settings = chosen(tiny_settings, tower=tower, frozen_towers=True, backbone=str(tmp_path / "one"))
    towers = build_towers(tiny_settings.backbone, TowerSettings(shared=False, output_dim=8))
    for name, each in (("encoder", towers.query), ("pin_encoder", towers.pin)):
        save_tower(each, tokenizer_of(tiny_settings.backbone), tmp_path / "one" / name)
    with pytest.raises(ModelError, match=said):
        distilled(settings, labels, tmp_path / "two")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_projection_that_would_stay_random_is_refused(tiny_settings: StudentSettings, labels: Path, tmp_path: Path):
    settings = chosen(tiny_settings, frozen_towers=True, tower=TowerSettings(output_dim=8))
    with pytest.raises(ModelError, match="would stay as random as it starts"):
        distilled(settings, labels, tmp_path / "student")


def test_a_loss_that_is_no_number_publishes_nothing(tiny_settings: StudentSettings, tmp_path: Path):
    wild = chosen(tiny_settings, epochs=1, ranker_learning_rate=1e30, largest_gradient=1e30)
    with pytest.raises(ModelError, match=r"at step \d+, so nothing was published"):
        trained(wild, tmp_path / "student", num_dev=0)
    assert not list(tmp_path.iterdir())


def test_labels_that_cannot_be_learnt_are_set_aside_beside_the_student(tiny_settings: StudentSettings, tmp_path: Path):
    rows = soft_labels()
    prints = pa.array(["older", *rows["fingerprint"].to_pylist()[1:]])
    tables.write(
        rows.set_column(rows.schema.get_field_index("fingerprint"), "fingerprint", prints),
        str(tmp_path / "labels"),
        SOFT_LABELS,
    )
    card = distilled(chosen(tiny_settings, epochs=1), tmp_path / "labels", tmp_path / "student", 0.01)
    assert (card.lineage["num_soft_labels"], card.lineage["num_unusable_labels"]) == (159, 1)
    record = pq.read_table(tmp_path / "student" / QUARANTINE)
    assert json.loads(record["content"][0].as_py())["fingerprint"] == "older"
    with pytest.raises(TableError, match=r"1 of 160 rows cannot be used.*fingerprint"):
        distilled(chosen(tiny_settings, epochs=1), tmp_path / "labels", tmp_path / "other", 0.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels", "student"]


def test_labels_of_which_none_can_be_used_are_refused_with_the_reason(tiny_settings: StudentSettings, tmp_path: Path):
    tables.write(soft_labels(pin_id="gone"), str(tmp_path / "labels"), SOFT_LABELS)
    with pytest.raises(TableError, match=r"no usable soft label.*Run build_pin_text"):
        distilled(chosen(tiny_settings), tmp_path / "labels", tmp_path / "student", 1.0)


def test_nothing_to_learn_is_refused(tiny_settings: StudentSettings, tmp_path: Path):
    rows = examples()
    with pytest.raises(TableError, match="0 rows to learn from, 1 are needed"):
        train(rows.slice(0, 0), rows, pin_text(), chosen(tiny_settings), "tiny", str(tmp_path / "student"), {})


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.chaos
def test_a_run_whose_driver_and_workers_are_killed_ends_with_the_same_weights(
    ray_session: None, tiny_settings: StudentSettings, labels: Path, tmp_path: Path, root: Path
):
    settings = chosen(tiny_settings, num_workers=1, checkpoint_every_steps=3, epochs=12)
    whole = distilled(settings.model_copy(update={"num_workers": 0}), labels, tmp_path / "whole")
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", TRAIN_ALONE, settings.model_dump_json(), str(labels), str(folder)]
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(command, cwd=root, env=alone, start_new_session=True) as driver:
        wait_for_checkpoint(folder, driver)
        family = psutil.Process(driver.pid).children(recursive=True)
        os.killpg(driver.pid, signal.SIGKILL)
        for process in family:
            if process.is_running():
                process.kill()
    assert not folder.exists()
    resumed = distilled(settings, labels, folder)
    assert resumed.version == whole.version
    assert resumed.metrics == whole.metrics


def wait_for_checkpoint(folder: Path, driver: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + KILL_DEADLINE_S
    while not list(folder.parent.glob(f".{folder.name}.training-*/checkpoint.safetensors")):
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
