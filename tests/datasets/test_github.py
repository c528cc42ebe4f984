import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinrank.datasets.github import LOCK_FILE, Pinned, fetch, read_record
from pinrank.errors import FetchError
from tests.datasets.file_server import COMMIT, Host, content_of, serving

FILES = {"owner/repo/data/a.csv": b"id\n1\n", "owner/repo/data/b.csv": b"id\n2\n", "owner/repo/top/c.txt": b"c"}
PINNED = [Pinned("owner/repo", COMMIT[:7], path) for path in ("data/a.csv", "data/b.csv", "top/c.txt")]


@pytest.fixture
def host() -> Iterator[Host]:
    with serving(Host(dict(FILES))) as running:
        yield running


def test_files_lie_under_their_paths_and_are_recorded(host: Host, tmp_path: Path) -> None:
    assert fetch(PINNED, tmp_path, host.url) == 3
    assert (tmp_path / "data/a.csv").read_bytes() == b"id\n1\n"
    locked = read_record(tmp_path)[f"owner/repo@{COMMIT[:7]}/data/a.csv"]
    assert locked.commit == COMMIT
    assert locked.content == content_of(b"id\n1\n")
    assert locked.url == f"{host.url}/raw/owner/repo/{COMMIT}/data/a.csv"
    assert locked.sha256 == hashlib.sha256(b"id\n1\n").hexdigest()


def test_commit_and_folders_are_asked_for_once(host: Host, tmp_path: Path) -> None:
    fetch(PINNED, tmp_path, host.url)
    assert [path.split("?")[0] for path, _ in host.requests if not path.startswith("/raw/")] == [
        f"/repos/owner/repo/commits/{COMMIT[:7]}",
        "/repos/owner/repo/contents/data",
        "/repos/owner/repo/contents/top",
    ]


def test_what_is_there_as_recorded_needs_no_network(host: Host, tmp_path: Path) -> None:
    fetch(PINNED, tmp_path, host.url)
    host.requests.clear()
    assert fetch(PINNED, tmp_path, host.url) == 0
    assert host.requests == []


def test_recorded_file_that_was_lost_or_changed_is_fetched_against_the_record(host: Host, tmp_path: Path) -> None:
    fetch(PINNED, tmp_path, host.url)
    (tmp_path / "data/a.csv").unlink()
    (tmp_path / "data/b.csv").write_bytes(b"id\n9\n")
    host.requests.clear()
    assert fetch(PINNED, tmp_path, host.url) == 2
    assert host.asked_for_files() == host.requests
    assert (tmp_path / "data/b.csv").read_bytes() == b"id\n2\n"


def test_owner_who_moves_a_commits_content_is_found_out_by_the_record(host: Host, tmp_path: Path) -> None:
    fetch(PINNED, tmp_path, host.url)
    (tmp_path / "data/a.csv").unlink()
    host.files["owner/repo/data/a.csv"] = b"id\n7\n"
    with pytest.raises(FetchError, match="do not use it"):
        fetch(PINNED, tmp_path, host.url)


def test_sha_256_of_the_record_is_compared_too(host: Host, tmp_path: Path) -> None:
    fetch(PINNED, tmp_path, host.url)
    path = tmp_path / LOCK_FILE
    path.write_text(path.read_text().replace(hashlib.sha256(b"c").hexdigest(), "0" * 64))
    with pytest.raises(FetchError, match="its SHA-256 is not that of"):
        fetch(PINNED, tmp_path, host.url)


def test_transfer_that_ends_early_is_taken_up_again(host: Host, tmp_path: Path) -> None:
    host.cut_after = [2]
    assert fetch(PINNED, tmp_path, host.url, pause_s=0) == 3
    assert ("bytes=2-") in [asked for _, asked in host.asked_for_files()]


def test_another_commit_than_the_pinned_one_is_refused(host: Host, tmp_path: Path) -> None:
    host.commits["owner/repo"] = "f" * 40
    with pytest.raises(FetchError, match=rf"came where the commit {COMMIT[:7]}\.\.\. was asked for"):
        fetch(PINNED, tmp_path, host.url)


def test_file_that_the_commit_lacks_is_named(host: Host, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"data/z\.csv: this commit has no such file"):
        fetch([Pinned("owner/repo", COMMIT, "data/z.csv")], tmp_path, host.url)


def test_damaged_record_is_named(host: Host, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text(json.dumps({"a": {"commit": 1}}))
    with pytest.raises(FetchError, match="the record of what was fetched is damaged"):
        fetch(PINNED, tmp_path, host.url)
