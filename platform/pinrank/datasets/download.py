"""Files over HTTP that arrive whole or not at all: resumed where a transfer broke off, checked against git's hash."""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from pinrank.durable import put_in_place
from pinrank.errors import FetchError

log = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(60.0, connect=10.0)
ATTEMPTS = 4
CHUNK_BYTES = 1 << 20

_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Content:
    """What a file must hold. git_sha1: 40 hex digits, the name of git's blob (see `git_sha1`)."""

    git_sha1: str
    num_bytes: int


def download(client: httpx.Client, url: str, target: Path, content: Content, pause_s: float = 1.0) -> None:
    """Bring a file to `target`, unless it is there already.

    A transfer that breaks off is tried again ATTEMPTS times, and by the next call, from where it stopped. Raises
    FetchError when the file cannot be had, or is another one than `content` says; nothing is at `target` then.
    """
    if holds(target, content):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            resumed = _transfer(client, url, part, content.num_bytes)
        except (httpx.RequestError, _BrokenOff) as cause:
            if attempt == ATTEMPTS:
                raise FetchError(_unreachable(url, cause, part)) from cause
            log.warning("%s: %s; trying again", url, cause)
            time.sleep(pause_s * 2 ** (attempt - 1))
            continue
        if holds(part, content):
            put_in_place(part, target)
            return
        found = _describe(part)
        part.unlink()
        if not resumed:
            raise FetchError(
                f"{url}: {found} arrived where {content.num_bytes} bytes of git blob {content.git_sha1} were pinned. "
                "The file was changed on its way, or is no longer what it was: do not use it."
            )
    raise FetchError(f"{url}: broke off {ATTEMPTS} times. Run the same command again.")


def holds(path: Path, content: Content) -> bool:
    """Whether a file is there and is the pinned one."""
    return path.is_file() and path.stat().st_size == content.num_bytes and git_sha1(path) == content.git_sha1


def git_sha1(path: Path) -> str:
    """The name that git gives a file's content: SHA-1 of `blob SIZE` with a NUL byte, and the bytes."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def reachable(url: str, timeout_s: float = 3.0) -> bool:
    """Whether a server answers at all, within the time: the question is asked aside, as a name's look-up can hang."""
    answers: list[bool] = []

    def ask() -> None:
        try:
            httpx.head(url, timeout=timeout_s)
        except (httpx.HTTPError, OSError):
            return
        answers.append(True)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout_s)
    return bool(answers)


class _BrokenOff(Exception):
    """The server cannot serve the file now, or ended the transfer before the file did."""


def _transfer(client: httpx.Client, url: str, part: Path, num_bytes: int) -> bool:
    """Fill `part` up; whether it goes on from an earlier transfer."""
    have = part.stat().st_size if part.is_file() else 0
    if have > num_bytes:
        part.unlink()
        have = 0
    if have == num_bytes:
        return True
    # the bytes must come as they are: a range of a compressed answer is no range of the file
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers, follow_redirects=True) as answer:
        if answer.status_code in _TRY_AGAIN:
            raise _BrokenOff(f"status {answer.status_code}")
        if answer.status_code not in (200, 206):
            raise FetchError(f"{url}: the server answers {answer.status_code}. Is the pinned file still there?")
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        with part.open("ab" if resumed else "wb") as file:
            # pieces as they come: what a larger chunk still waits for is lost when the transfer breaks off
            for piece in answer.iter_raw():
                file.write(piece)
    if (arrived := part.stat().st_size) < num_bytes:
        raise _BrokenOff(f"{arrived} of {num_bytes} bytes arrived")
    return resumed


def _unreachable(url: str, cause: Exception, part: Path) -> str:
    have = part.stat().st_size if part.is_file() else 0
    kept = f"{have} bytes are kept, and the same command goes on from there" if have else "nothing was transferred"
    return (
        f"{url}: cannot be downloaded ({type(cause).__name__}: {cause}); {kept}. Without a network, run it on a "
        "machine that has one and copy its output folder here."
    )


def _describe(path: Path) -> str:
    return f"{path.stat().st_size} bytes of git blob {git_sha1(path)}"
