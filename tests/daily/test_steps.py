"""A day's steps with jobs that only leave the files behind that the real ones leave: order, resuming, late files."""

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pinrank import registry
from pinrank.daily.steps import texts_hash
from pinrank.errors import PinrankError, SettingsError, TableError
from pipelines import daily
from pipelines.daily import Daily, main

JOB = """
import argparse, json, os, pathlib, shutil, sys
parser = argparse.ArgumentParser()
for name in "config tables output date candidate current reuse last_day".split():
    parser.add_argument(f"--{name}")
given, _ = parser.parse_known_args()
job = pathlib.Path(__file__).stem
with pathlib.Path("ran.txt").open("a") as file:
    print(job, *[f"{name}={getattr(given, name)}" for name in ("reuse", "last_day") if getattr(given, name)], file=file)
if pathlib.Path(f"break_{job}").exists():
    sys.exit(1)
details = {}
if job == "build_pin_text":
    shutil.copytree("given", f"{given.tables}/pin_text", dirs_exist_ok=True)
if job == "sample_impressions":
    bad = pathlib.Path(f"{given.tables}/quarantine/impressions")
    bad.mkdir(parents=True)
    (bad / "part-00000.parquet").write_text("bad rows")
if job == "label_impressions":
    folder = pathlib.Path(f"{given.output}/date={given.date}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text("{}")
    details = {"reused_pairs": 1}
if job == "fit_lexical":
    pathlib.Path(given.output).mkdir(parents=True, exist_ok=True)
if job == "train_student":
    folder = pathlib.Path(given.output)
    folder.mkdir(parents=True)
    number = pathlib.Path("ran.txt").read_text().count("train_student")
    (folder / "card.json").write_text(json.dumps({"version": f"student@{number:08x}"}))
if job == "compare_students":
    def version(folder):
        return json.loads(pathlib.Path(folder, "card.json").read_text())["version"] if folder else None
    section = {"name": "dev", "num_pairs": 1, "num_queries": 1, "figures": {}, "contrasts": [], "with_facts": False}
    said = {"promote": not pathlib.Path("worse").exists(), "reason": "as it is", "settings": {}, "section": section}
    folder = pathlib.Path(given.output)
    folder.mkdir(parents=True, exist_ok=True)
    said |= {"candidate": version(given.candidate), "current": version(given.current)}
    (folder / "decision.json").write_text(json.dumps(said))
if job == "embed_pins":
    folder = pathlib.Path(given.output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text("{}")
print(json.dumps({"rows_in": 4, "rows_out": 4, "quarantined": 0, "details": details}))
"""
LABEL = ("build_pin_text", "sample_impressions", "label_impressions")
TRAIN = ("fit_lexical", "train_student", "compare_students")
ALL = (*LABEL, *TRAIN, "embed_pins")


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a teacher, in a working folder with a fake of every job."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/__init__.py").touch()
    (tmp_path / "configs").mkdir()
    for name in ALL:
        (tmp_path / f"pipelines/{name}.py").write_text(JOB)
        (tmp_path / f"configs/{name}.yaml").write_text("seed: 0")
    (tmp_path / "loop/teacher").mkdir(parents=True)
    (tmp_path / "loop/teacher/card.json").write_text('{"version": "teacher@00000001"}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    texts("one")
    for number in range(1, 6):
        arrive(number)
    return tmp_path / "loop"


def texts(fingerprint: str) -> None:
    """What build_pin_text will find."""
    Path("given").mkdir(exist_ok=True)
    pq.write_table(pa.table({"pin_id": ["a"], "fingerprint": [fingerprint]}), "given/part-00000.parquet")


def january(number: int) -> datetime.date:
    """A day; the fourth is a Sunday."""
    return datetime.date(2026, 1, number)


def arrive(number: int, name: str = "a") -> None:
    """A file of a day's log."""
    folder = Path(f"loop/tables/impressions/{january(number)}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.parquet").write_text(name)


def run(last: int, first: int | None = None, **settings: Any) -> list[str]:
    """Run the loop up to a day; the jobs that ran, in order."""
    done = len(ran())
    since = january(first) if first else None
    main(Daily(root=Path("loop").absolute(), configs="configs", date=january(last), since=since, **settings))
    return ran()[done:]


def ran() -> list[str]:
    """The jobs that ran so far, without their arguments."""
    return [line.split()[0] for line in ran_with()]


def ran_with() -> list[str]:
    """The jobs that ran so far, with some of their arguments."""
    return Path("ran.txt").read_text().splitlines() if Path("ran.txt").exists() else []


def summary(number: int) -> dict[str, Any]:
    """A day's summary."""
    found: dict[str, Any] = json.loads(Path(f"loop/days/{january(number)}/summary.json").read_text())
    return found


def current() -> str | None:
    """The current student."""
    found = registry.current(Path("loop/registry"))
    return found.bundle if found else None


def test_the_first_day_trains_the_first_student_and_the_next_day_only_labels(loop: Path) -> None:
    assert run(1) == list(ALL)
    assert current() == summary(1)["student"] == summary(1)["decision"]["candidate"]
    assert run(2) == list(LABEL)
    assert summary(2)["steps"][-1]["skipped"] == "neither the student nor any pin's text has changed"
    assert (summary(2)["decision"], summary(2)["student"]) == (None, current())


def test_a_day_that_is_done_runs_no_job(loop: Path) -> None:
    run(1)
    assert run(1) == []


def test_pins_are_embedded_again_when_a_text_has_changed(loop: Path) -> None:
    run(1)
    texts("two")
    assert run(2) == [*LABEL, "embed_pins"]


def test_missed_days_are_done_in_order_and_the_last_sunday_trains(loop: Path) -> None:
    run(1)
    run(5)
    assert ran()[len(ALL) :] == [*LABEL * 3, *TRAIN, "embed_pins", *LABEL]
    assert registry.promoted(loop / "registry") == [summary(1)["student"], summary(4)["student"]]


def test_another_weekday_trains_where_it_is_set(loop: Path) -> None:
    run(1)
    assert run(2, train_on="friday") == list(ALL)


def test_a_candidate_that_is_held_stays_in_the_registry_and_the_current_student_stays(loop: Path) -> None:
    run(3)
    before = current()
    Path("worse").touch()
    assert run(4) == [*LABEL, *TRAIN]
    held = summary(4)["decision"]
    assert (held["promote"], held["current"], current()) == (False, before, before)
    registry.verify(loop / "registry", held["candidate"])
    page = (loop / f"days/{january(4)}/summary.html").read_text()
    assert f"Held {held['candidate']}: as it is. Current: {before}." in page


@pytest.mark.parametrize("broken", ["build_pin_text", "label_impressions", "compare_students", "embed_pins"])
def test_a_job_that_ended_badly_is_run_again_and_none_before_it(broken: str, loop: Path) -> None:
    Path(f"break_{broken}").touch()
    with pytest.raises(PinrankError, match=f"stage {broken} ended with exit code 1"):
        run(1)
    Path(f"break_{broken}").unlink()
    assert run(1) == list(ALL[ALL.index(broken) :])
    assert summary(1)["student"] == current()


@pytest.mark.parametrize("point", ["decided", "forget_stores", "finish", "clear"])
def test_a_day_that_is_killed_between_its_steps_ends_as_if_it_had_not_been(
    point: str, loop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(3)

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(daily if point == "finish" else daily.steps, point, killed)
        with pytest.raises(Killed):
            run(4)
    assert [job for job in run(5) if job in TRAIN] == []
    found = summary(4)["decision"]
    assert (found["promote"], found["current"]) == (True, summary(3)["student"])
    assert registry.promoted(loop / "registry") == [summary(3)["student"], found["candidate"]]


def test_files_that_came_late_do_the_day_again_with_its_grades_and_train_nothing(loop: Path) -> None:
    for number in (3, 4, 5):
        run(number)
    arrive(4, "late")
    done = len(ran_with())
    run(5)
    again = ran_with()[done:]
    labels_before = loop / f"days/{january(4)}/labels_before"
    assert again == [
        "build_pin_text last_day=2026-01-05",
        "sample_impressions last_day=2026-01-04",
        f'label_impressions reuse=["{labels_before}"]',
    ]
    assert (summary(4)["times_done"], len(summary(4)["log"]), summary(4)["decision"]) == (2, 2, None)
    assert (loop / "soft_labels/date=2026-01-04/manifest.json").exists() and not labels_before.exists()
    assert "as files came late" in (loop / f"days/{january(4)}/summary.html").read_text()
    assert run(5) == []


def test_a_day_that_is_done_again_and_killed_goes_on_with_its_grades(loop: Path) -> None:
    run(3)
    arrive(3, "late")
    Path("break_label_impressions").touch()
    with pytest.raises(PinrankError):
        run(3)
    Path("break_label_impressions").unlink()
    assert run(3) == ["label_impressions"]
    assert "reuse=" in ran_with()[-1]
    assert summary(3)["times_done"] == 2


def test_days_before_a_missing_log_are_done_before_the_error(loop: Path) -> None:
    arrive(7)
    with pytest.raises(TableError, match="no folder 2026-01-06"):
        run(7, first=5)
    assert summary(5)["student"] == current()
    assert not (loop / f"days/{january(7)}").exists()


def test_a_job_without_settings_is_named_before_anything_runs(loop: Path) -> None:
    Path("configs/embed_pins.yaml").unlink()
    with pytest.raises(SettingsError, match=r"configs: holds no embed_pins\.yaml"):
        run(1)
    assert ran() == []


def test_rows_that_could_not_be_used_lie_with_their_day(loop: Path) -> None:
    run(1)
    run(2)
    for number in (1, 2):
        assert (loop / f"days/{january(number)}/quarantine/impressions/part-00000.parquet").exists()
    assert not (loop / "tables/quarantine/impressions").exists()


def test_pin_stores_of_students_long_gone_are_removed(loop: Path) -> None:
    for number in (1, 2, 3):
        run(number, train_on=("thursday", "friday", "saturday")[number - 1])
    students = [summary(number)["student"] for number in (1, 2, 3)]
    assert {path.name for path in (loop / "pin_store").iterdir() if path.is_dir()} == set(students[1:])


def test_the_hash_of_the_texts_sees_texts_and_no_order(tmp_path: Path) -> None:
    def hashed(name: str, *rows: tuple[str, str]) -> str:
        (tmp_path / name / "pin_text").mkdir(parents=True)
        table = pa.Table.from_pylist([{"pin_id": pin, "fingerprint": text} for pin, text in rows])
        pq.write_table(table, tmp_path / name / "pin_text/part-00000.parquet")
        return texts_hash(tmp_path / name)

    one = hashed("one", ("a", "x"), ("b", "y"))
    assert hashed("other_order", ("b", "y"), ("a", "x")) == one
    assert len({one, hashed("swapped", ("a", "y"), ("b", "x")), hashed("fewer", ("a", "x"))}) == 3
