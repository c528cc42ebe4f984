"""Running jobs one after the other."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pinrank import stages
from pinrank.errors import CommitError, PinrankError
from pinrank.stages import Stage, run_stages, summary_in

JOB = """
import json, pathlib, sys
pathlib.Path("ran.txt").open("a").write(pathlib.Path(__file__).stem + " ")
print("progress on the way")
print(json.dumps({"rows_in": 3, "rows_out": 2, "quarantined": 1, "details": {}}))
"""


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pipelines `one`, `two` and `broken` and a settings file for each."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/__init__.py").touch()
    for name in ("one", "two"):
        (tmp_path / f"pipelines/{name}.py").write_text(JOB)
        (tmp_path / f"{name}.yaml").write_text("seed: 0")
    (tmp_path / "pipelines/broken.py").write_text("raise SystemExit(2)")
    (tmp_path / "broken.yaml").write_text("seed: 0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*names: str) -> list[bool]:
    """Run stages by name and say of each whether it was done before."""
    return [was_done for _, was_done in run_stages([Stage(name, f"{name}.yaml") for name in names], Path("records"))]


def test_a_stage_reads_its_summary_off_the_last_line(workshop: Path):
    ((record, was_done),) = run_stages([Stage("one", "one.yaml")], Path("records"))
    assert (record.rows_in, record.rows_out, record.quarantined, was_done) == (3, 2, 1, False)


def test_a_finished_stage_is_not_run_again(workshop: Path):
    assert run("one", "two") == [False, False]
    assert run("one", "two") == [True, True]
    assert Path("ran.txt").read_text() == "one two "


def test_changed_settings_run_the_stage_and_all_after_it_again(workshop: Path):
    run("one", "two")
    Path("one.yaml").write_text("seed: 1")
    assert run("one", "two") == [False, False]


def test_changed_settings_leave_the_stages_before_alone(workshop: Path):
    run("one", "two")
    Path("two.yaml").write_text("seed: 1")
    assert run("one", "two") == [True, False]


def test_a_failed_stage_stops_the_run_and_is_tried_again_next_time(workshop: Path):
    with pytest.raises(PinrankError, match="stage broken ended with exit code 2"):
        run("one", "broken", "two")
    Path("pipelines/broken.py").write_text(JOB)
    assert run("one", "broken", "two") == [True, False, False]


def test_a_damaged_record_counts_as_not_done(workshop: Path):
    run("one")
    Path("records/one.json").write_text(json.dumps({"name": "one"})[:-3])
    assert run("one") == [False]


def test_what_other_settings_left_is_removed_and_what_an_interrupted_run_left_is_kept(workshop: Path):
    grown = Path("grown/shard")

    def stage() -> Stage:
        return Stage("broken", "broken.yaml", grows=("grown",))

    def interrupted() -> None:
        with pytest.raises(PinrankError):
            list(run_stages([stage()], Path("records")))

    interrupted()
    grown.parent.mkdir()
    grown.write_text("half done")
    interrupted()
    assert grown.exists(), "the same settings go on with it"
    Path("broken.yaml").write_text("seed: 1")
    interrupted()
    assert not grown.exists(), "it belongs to other settings"


def test_memory_of_a_process_is_seen():
    import os

    assert stages.tree_memory_bytes(os.getpid()) > 10 * 2**20


def test_changed_data_runs_the_stage_that_reads_it_again(workshop: Path):
    def was_done() -> bool:
        ((_, done),) = run_stages([Stage("one", "one.yaml", reads=("data",))], Path("records"))
        return done

    Path("data").mkdir()
    Path("data/pins.parquet").write_bytes(b"one")
    assert [was_done(), was_done()] == [False, True]
    Path("data/pins.parquet").write_bytes(b"other")
    assert not was_done()


def test_another_input_from_elsewhere_runs_the_stage_again(workshop: Path):
    def was_done(inputs: str) -> bool:
        ((_, done),) = run_stages([Stage("one", "one.yaml", inputs=inputs)], Path("records"))
        return done

    assert [was_done("teacher@1"), was_done("teacher@1"), was_done("teacher@2")] == [False, True, False]


def test_a_stage_whose_output_is_gone_is_run_again(workshop: Path):
    def was_done() -> bool:
        ((_, done),) = run_stages([Stage("one", "one.yaml", outputs=("made.txt",))], Path("records"))
        return done

    Path("made.txt").touch()
    assert [was_done(), was_done()] == [False, True]
    Path("made.txt").unlink()
    assert not was_done()


def test_a_second_run_in_the_same_folder_is_refused(workshop: Path):
    stages_one = [Stage("one", "one.yaml"), Stage("two", "two.yaml")]
    for _ in run_stages(stages_one, Path("records")):
        with pytest.raises(CommitError, match="another job writes here"):
            list(run_stages(stages_one, Path("records")))
        break


def test_a_line_that_follows_the_summary_does_not_hide_it():
    summary = {"rows_in": 1, "rows_out": 1}
    assert summary_in(["progress", json.dumps(summary), "(pid=7) bye", "3"]) == summary


def test_a_stage_is_told_to_stop_with_its_runner_and_tidies_up(workshop: Path):
    tell = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))"
    Path("pipelines/slow.py").write_text(
        f"{tell}\nimport pathlib, time\npathlib.Path('busy').touch()\n"
        "try:\n    time.sleep(120)\nfinally:\n    pathlib.Path('busy').unlink()\n"
    )
    Path("slow.yaml").touch()
    runner = f"{tell}\nfrom pathlib import Path\nfrom pinrank.stages import Stage, run_stages\n"
    runner += "list(run_stages([Stage('slow', 'slow.yaml')], Path('records')))"
    with subprocess.Popen([sys.executable, "-c", runner]) as process:
        deadline = time.monotonic() + 60
        while not Path("busy").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=30) == 15
    assert not Path("busy").exists()
