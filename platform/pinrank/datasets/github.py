"""Files of public repositories at a pinned commit: what git says that they hold, and a record of what was fetched.

Pinned is the commit. For its files GitHub's API gives the hashes of git's blobs, and every file is checked against
them. What was fetched stands in LOCK_FILE with its full commit, git's hash, SHA-256 and size: later runs compare with
this record and ask nobody.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from pinrank.datasets.download import TIMEOUT, Content, download, holds
from pinrank.durable import write_text
from pinrank.errors import FetchError

LOCK_FILE = "fetch.lock.json"


API = "https://api.github.com"


@dataclass(frozen=True)
class Pinned:
    """A file of a repository at a commit; the commit is its first hex digits, 7 at least, or all 40."""

    repository: str
    commit: str
    path: str

    @property
    def name(self) -> str:
        """What the record calls it."""
        return f"{self.repository}@{self.commit}/{self.path}"


@dataclass(frozen=True)
class Locked:
    """A fetched file in the record: the full commit, where it was had, and what it holds."""

    commit: str
    url: str
    git_sha1: str
    sha256: str
    num_bytes: int

    @property
    def content(self) -> Content:
        """What the file must hold."""
        return Content(self.git_sha1, self.num_bytes)


def fetch(pinned: Iterable[Pinned], folder: Path, api: str = API, pause_s: float = 1.0) -> int:
    """Bring files to `folder`, under their paths, and record them; the number of those that were not there yet.

    A file that is there and is what the record says is not asked for. Raises FetchError.
    """
    record = read_record(folder)
    fetched = 0
    with httpx.Client(timeout=TIMEOUT) as client:
        git = _Git(client, api)
        for each in pinned:
            known, target = record.get(each.name), folder / each.path
            if known is not None and holds(target, known.content) and _sha256(target) == known.sha256:
                continue
            found = known or git.look_up(each)
            download(client, found.url, target, found.content, pause_s)
            record[each.name] = replace(found, sha256=_sha256(target))
            if known is not None and record[each.name] != known:
                target.unlink()
                raise FetchError(f"{found.url}: its SHA-256 is not that of {folder / LOCK_FILE}: do not use it.")
            _write_record(folder, record)
            fetched += 1
    return fetched


def read_record(folder: Path) -> dict[str, Locked]:
    """The record of a folder, by a file's name; FetchError when it is damaged."""
    path = folder / LOCK_FILE
    if not path.exists():
        return {}
    try:
        return {name: Locked(**entry) for name, entry in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as cause:
        raise FetchError(
            f"{path}: the record of what was fetched is damaged ({cause}). Remove it, and fetch again."
        ) from cause


class _Git:
    """What the API says about commits and folders, each asked once: it answers few questions an hour."""

    def __init__(self, client: httpx.Client, api: str) -> None:
        self._client, self._api = client, api
        self._commits: dict[tuple[str, str], str] = {}
        self._folders: dict[tuple[str, str, str], dict[str, Locked]] = {}

    def look_up(self, pinned: Pinned) -> Locked:
        """A file as the API describes it: all but its SHA-256."""
        commit = self._full_commit(pinned.repository, pinned.commit)
        folder, _, name = pinned.path.rpartition("/")
        files = self._files_of(pinned.repository, commit, folder)
        if name not in files:
            raise FetchError(f"{pinned.name}: this commit has no such file.")
        return files[name]

    def _full_commit(self, repository: str, commit: str) -> str:
        if (repository, commit) not in self._commits:
            answer = self._ask(f"repos/{repository}/commits/{commit}", "application/vnd.github.sha").text.strip()
            if len(answer) != 40 or not answer.startswith(commit):
                raise FetchError(f"{repository}: {answer[:80]!r} came where the commit {commit}... was asked for.")
            self._commits[repository, commit] = answer
        return self._commits[repository, commit]

    def _files_of(self, repository: str, commit: str, folder: str) -> dict[str, Locked]:
        key = (repository, commit, folder)
        if key not in self._folders:
            answer = self._ask(f"repos/{repository}/contents/{folder}?ref={commit}", "application/vnd.github+json")
            try:
                self._folders[key] = {
                    str(each["name"]): Locked(
                        commit, str(each["download_url"]), str(each["sha"]), "", int(each["size"])
                    )
                    for each in answer.json()
                    if each["type"] == "file"
                }
            except (ValueError, TypeError, KeyError) as cause:
                raise FetchError(f"{answer.url}: the answer is no list of files: {answer.text[:120]!r}.") from cause
        return self._folders[key]

    def _ask(self, path: str, accept: str) -> httpx.Response:
        url = f"{self._api}/{path}"
        try:
            answer = self._client.get(url, headers={"Accept": accept}, follow_redirects=True)
        except httpx.RequestError as cause:
            raise FetchError(
                f"{url}: cannot be reached ({type(cause).__name__}: {cause}). Run this on a machine with a network, "
                "and copy its output folder here."
            ) from cause
        if answer.status_code in (403, 429):
            raise FetchError(f"{url}: GitHub answers no more questions for now ({answer.status_code}). Wait an hour.")
        if answer.status_code != 200:
            raise FetchError(f"{url}: the server answers {answer.status_code}. Is the repository still there?")
        return answer


def _listed(commit: str, entry: dict[str, Any]) -> Locked:
    return Locked(commit, str(entry["download_url"]), str(entry["sha"]), "", int(entry["size"]))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_record(folder: Path, record: dict[str, Locked]) -> None:
    entries = {name: asdict(entry) for name, entry in sorted(record.items())}
    write_text(folder / LOCK_FILE, json.dumps(entries, indent=1) + "\n")
