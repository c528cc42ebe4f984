"""The output folder: committed once, refused when it belongs to other work, readable at any moment."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pinrank import tables
from pinrank.errors import CommitError
from pinrank.labeling.manifest import Manifest, read_manifest, survey
from pinrank.labeling.shards import Grading
from pinrank.parquet import write_folder
from pinrank.shard_folder import Shard, commit_shard, committed, exclusive, publish, shard_path
from pinrank.tables import SOFT_LABELS
from tests.labeling.rows import GRADING, labels, pin_texts, sampled, work_rows, write


@pytest.fixture
def pairs() -> pa.Table:
    return work_rows(sampled(("a", "p1"), ("a", "p2"), ("b", "p1")), pin_texts(p1="red", p2="blue"))


def cut(pairs: pa.Table, grading: Grading, folder: Path) -> tuple[Shard, ...]:
    return write(folder, pairs, grading).shards


def graded(pairs: pa.Table, shard: Shard) -> pa.Table:
    return labels(pairs.slice(shard.start, shard.stop - shard.start))


def label_all(output: Path, pairs: pa.Table) -> tuple[Shard, ...]:
    shards = cut(pairs, GRADING, output)
    for shard in shards:
        commit_shard(graded(pairs, shard), output, shard.name, GRADING)
    return shards


def finish(output: Path, shards: tuple[Shard, ...]) -> Manifest:
    manifest = survey(output, shards, GRADING)
    publish(output, manifest)
    return manifest


def test_a_finished_folder_reads_as_the_table(tmp_path: Path, pairs: pa.Table) -> None:
    with exclusive(tmp_path):
        finish(tmp_path, label_all(tmp_path, pairs))
    (tmp_path / "quarantine").mkdir()
    write_folder(pa.table({"reason": ["none"]}), str(tmp_path / "quarantine" / "sampled_pairs"))
    found = tables.read(str(tmp_path), SOFT_LABELS)
    assert sorted(found.column("pair_key").to_pylist()) == sorted(pairs.column("pair_key").to_pylist())
    np.testing.assert_array_equal(found.column("logits")[0].as_py(), [0, 1, 2, 3, 4])


def test_the_manifest_counts_rows_and_holds_checksums_in_the_order_of_the_work(tmp_path: Path, pairs: pa.Table) -> None:
    shards = label_all(tmp_path, pairs)
    manifest = finish(tmp_path, shards)
    assert manifest == read_manifest(tmp_path)
    assert (manifest.rows, manifest.teacher, manifest.settings_hash) == (3, "tiny@00000000", GRADING.hash)
    assert [(entry.name, entry.rows) for entry in manifest.shards] == [(shards[0].name, 2), (shards[1].name, 1)]


def test_finishing_twice_leaves_the_same_bytes(tmp_path: Path, pairs: pa.Table) -> None:
    shards = label_all(tmp_path, pairs)
    finish(tmp_path, shards)
    before = (tmp_path / "manifest.json").read_bytes()
    finish(tmp_path, shards)
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_committed_shards_are_found_again(tmp_path: Path, pairs: pa.Table) -> None:
    shards = label_all(tmp_path, pairs)
    shard_path(tmp_path, shards[1].name).unlink()
    assert committed(tmp_path, shards, GRADING) == {shards[0].name}


def test_shards_of_other_settings_are_refused_with_both_hashes(tmp_path: Path, pairs: pa.Table) -> None:
    shards = label_all(tmp_path, pairs)
    other = GRADING.model_copy(update={"dtype": "bfloat16"})
    with pytest.raises(CommitError, match="dtype float32 → bfloat16") as caught:
        committed(tmp_path, cut(pairs, other, tmp_path), other)
    assert GRADING.hash in str(caught.value)
    assert other.hash in str(caught.value)
    assert len(committed(tmp_path, shards, GRADING)) == 2


def test_shards_of_other_pairs_are_refused(tmp_path: Path, pairs: pa.Table) -> None:
    label_all(tmp_path, pairs)
    with pytest.raises(CommitError, match="the rows that go in have changed"):
        committed(tmp_path, cut(pairs.slice(0, 1), GRADING, tmp_path), GRADING)


def test_a_stranger_among_the_shards_is_refused(tmp_path: Path, pairs: pa.Table) -> None:
    write_folder(pa.table({"x": [1]}), str(tmp_path))
    (tmp_path / "part-00000.parquet").rename(shard_path(tmp_path, "0" * 16))
    with pytest.raises(CommitError, match="does not say how it was made"):
        committed(tmp_path, cut(pairs, GRADING, tmp_path), GRADING)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all, but long enough to look"])
def test_a_damaged_shard_is_named_with_the_mend(tmp_path: Path, pairs: pa.Table, content: bytes) -> None:
    shards = label_all(tmp_path, pairs)
    shard_path(tmp_path, shards[0].name).write_bytes(content)
    with pytest.raises(CommitError, match=f"shard-{shards[0].name}.parquet: damaged.*Delete this file"):
        committed(tmp_path, shards, GRADING)


def test_a_shard_changed_after_the_manifest_is_refused(tmp_path: Path, pairs: pa.Table) -> None:
    shards = label_all(tmp_path, pairs)
    finish(tmp_path, shards)
    commit_shard(graded(pairs, shards[0]).slice(0, 1), tmp_path, shards[0].name, GRADING)
    with pytest.raises(CommitError, match=r"changed since manifest\.json was written"):
        finish(tmp_path, shards)


def test_a_manifest_needs_every_shard(tmp_path: Path, pairs: pa.Table) -> None:
    shards = label_all(tmp_path, pairs)
    shard_path(tmp_path, shards[1].name).unlink()
    with pytest.raises(CommitError, match="missing after the job"):
        finish(tmp_path, shards)


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CommitError, match="taken: cannot be written"):
        with exclusive(tmp_path / "taken"):
            pass


def test_two_jobs_on_one_output_one_wins_and_the_other_leaves(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        with pytest.raises(CommitError, match="another job writes here \\(process"):
            with exclusive(tmp_path):
                raise AssertionError("two jobs write to one folder")
    with exclusive(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_a_killed_jobs_lock_and_leftovers_do_not_stay(tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from pinrank.shard_folder import exclusive\n"
        "with exclusive(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "held\n"
        (tmp_path / ".shard-0.parquet.host-1.tmp").write_text("half a shard")
        (tmp_path / ".work-0.parquet").write_text("the pairs of that job")
        (tmp_path / ".spill").mkdir()
        (tmp_path / ".tries-0").write_text("{}")
        with pytest.raises(CommitError, match=str(job.pid)):
            with exclusive(tmp_path):
                pass
        job.send_signal(signal.SIGKILL)
    with exclusive(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
