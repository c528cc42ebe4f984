from pathlib import Path

import pytest

from pinrank.errors import CommitError
from pinrank.work_folder import work_folder


@pytest.mark.parametrize("named", [True, False])
def test_folder_is_empty_and_gone_afterwards(tmp_path: Path, named: bool) -> None:
    (tmp_path / "work/partitions").mkdir(parents=True)
    (tmp_path / "work/partitions/left").write_text("by a killed job")
    with work_folder(tmp_path / "work" if named else None) as folder:
        assert list(folder.iterdir()) == []
        (folder / "spilled").write_text("x")
    assert not folder.exists()


def test_one_job_at_a_time(tmp_path: Path) -> None:
    with work_folder(tmp_path), pytest.raises(CommitError, match="another job writes here"):
        with work_folder(tmp_path):
            pass
