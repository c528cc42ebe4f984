import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pinrank.datasets.download import ATTEMPTS, download, git_sha1, holds, reachable
from pinrank.errors import FetchError
from tests.datasets.file_server import COMMIT, Host, content_of, serving

DATA = bytes(range(256)) * 400
NAME = "owner/repo/data/file.bin"
CONTENT = content_of(DATA)


@pytest.fixture
def host() -> Iterator[Host]:
    with serving(Host({NAME: DATA})) as running:
        yield running


def bring(host: Host, folder: Path) -> Path:
    target = folder / "data/file.bin"
    with httpx.Client(trust_env=False) as client:
        url = f"{host.url}/raw/owner/repo/{COMMIT}/data/file.bin"
        download(client, url, target, CONTENT, pause_s=0)
    return target


def test_hash_is_the_name_that_git_itself_gives(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(DATA)
    named = subprocess.run(
        ["git", "hash-object", "--no-filters", tmp_path / "file.bin"], capture_output=True, text=True
    )
    assert git_sha1(tmp_path / "file.bin") == named.stdout.strip() == CONTENT.git_sha1


def test_file_arrives_whole_and_nothing_stays_beside_it(host: Host, tmp_path: Path) -> None:
    target = bring(host, tmp_path)
    assert target.read_bytes() == DATA
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_file_that_is_there_is_not_asked_for(host: Host, tmp_path: Path) -> None:
    bring(host, tmp_path)
    host.requests.clear()
    bring(host, tmp_path)
    assert host.requests == []


def test_transfer_that_breaks_off_goes_on_from_where_it_stopped(host: Host, tmp_path: Path) -> None:
    host.cut_after = [1_000, 2_000]
    assert bring(host, tmp_path).read_bytes() == DATA
    assert [asked for _, asked in host.requests] == ["", "bytes=1000-", "bytes=3000-"]


def test_the_next_call_goes_on_after_one_that_gave_up(host: Host, tmp_path: Path) -> None:
    host.cut_after = [500] * ATTEMPTS
    with pytest.raises(FetchError, match="2000 bytes are kept, and the same command goes on from there"):
        bring(host, tmp_path)
    assert not (tmp_path / "data/file.bin").exists()
    host.requests.clear()
    assert bring(host, tmp_path).read_bytes() == DATA
    assert [asked for _, asked in host.requests] == ["bytes=2000-"]


def test_server_without_ranges_sends_the_file_anew(host: Host, tmp_path: Path) -> None:
    host.ranges, host.cut_after = False, [1_000]
    assert bring(host, tmp_path).read_bytes() == DATA


def test_busy_server_is_asked_again(host: Host, tmp_path: Path) -> None:
    host.statuses = [503, 429]
    assert bring(host, tmp_path).read_bytes() == DATA


def test_other_bytes_than_the_pinned_ones_are_refused_and_removed(host: Host, tmp_path: Path) -> None:
    host.swapped = {NAME: DATA[:-1] + b"x"}
    with pytest.raises(
        FetchError, match=rf"where 102400 bytes of git blob {CONTENT.git_sha1} were pinned.*do not use it"
    ):
        bring(host, tmp_path)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_longer_file_than_the_pinned_one_is_refused(host: Host, tmp_path: Path) -> None:
    host.swapped = {NAME: DATA + b"more"}
    with pytest.raises(FetchError, match="102404 bytes of git blob"):
        bring(host, tmp_path)


def test_what_an_earlier_transfer_left_is_thrown_away_when_it_does_not_fit(host: Host, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.file.bin.part").write_bytes(b"x" * 1_000)
    assert bring(host, tmp_path).read_bytes() == DATA
    assert [asked for _, asked in host.requests] == ["bytes=1000-", ""]


def test_damaged_file_is_fetched_again(host: Host, tmp_path: Path) -> None:
    target = bring(host, tmp_path)
    target.write_bytes(DATA[:-1] + b"x")
    assert not holds(target, CONTENT)
    assert bring(host, tmp_path).read_bytes() == DATA


def test_missing_file_is_an_error_at_once(host: Host, tmp_path: Path) -> None:
    host.statuses = [404]
    with pytest.raises(FetchError, match=r"the server answers 404\. Is the pinned file still there\?"):
        bring(host, tmp_path)
    assert len(host.requests) == 1


def test_without_a_server_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        FetchError, match=r"ConnectError.*nothing was transferred\. Without a network, run it on a machine"
    ):
        bring(Host({}, url=f"http://127.0.0.1:{closed_port()}"), tmp_path)


def test_a_server_that_answers_is_reachable(host: Host) -> None:
    assert reachable(host.url)


def test_no_server_is_not_reachable() -> None:
    assert not reachable(f"http://127.0.0.1:{closed_port()}")


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert not reachable(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.3)
        assert time.monotonic() - started < 3


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as briefly:
        return int(briefly.getsockname()[1])
