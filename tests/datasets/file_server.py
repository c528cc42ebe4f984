"""A real HTTP server on loopback that answers as GitHub's API and files do, with ranges, and can break off."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pinrank.datasets.download import Content

COMMIT = "0123456789" * 4


@dataclass
class Host:
    """What the server holds and how it misbehaves. files: REPOSITORY/PATH → bytes."""

    files: dict[str, bytes]
    commits: dict[str, str] = field(default_factory=dict)
    """REPOSITORY → its full commit; COMMIT for the others."""
    cut_after: list[int] = field(default_factory=list)
    """For the next transfers: so many bytes are sent before the connection ends."""
    statuses: list[int] = field(default_factory=list)
    """For the next requests of files: answered with this status and no file."""
    ranges: bool = True
    swapped: dict[str, bytes] = field(default_factory=dict)
    """Sent in the place of a file, whose hash the listing still gives."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """The path and the Range header of every request."""
    url: str = ""

    def asked_for_files(self) -> list[tuple[str, str]]:
        """The requests that were not for the API."""
        return [each for each in self.requests if each[0].startswith("/raw/")]


def content_of(data: bytes) -> Content:
    """What git says of a file, computed here on its own."""
    return Content(hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest(), len(data))


@contextmanager
def serving(host: Host) -> Iterator[Host]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            host.requests.append((self.path, self.headers.get("Range", "")))
            parts = unquote(url.path).strip("/").split("/")
            if parts[0] == "raw":
                self._file("/".join(parts[1:3]), parts[3], "/".join(parts[4:]))
            elif parts[3] == "commits":
                self._answer(host.commits.get("/".join(parts[1:3]), COMMIT).encode())
            else:
                self._listing("/".join(parts[1:3]), "/".join(parts[4:]), parse_qs(url.query)["ref"][0])

        def do_HEAD(self) -> None:
            self._answer(b"")

        def _listing(self, repository: str, folder: str, ref: str) -> None:
            assert ref == host.commits.get(repository, COMMIT)
            entries = []
            for name, data in host.files.items():
                if name.rpartition("/")[0] == f"{repository}/{folder}":
                    content = content_of(data)
                    entry = {"name": name.rpartition("/")[2], "sha": content.git_sha1, "size": content.num_bytes}
                    url = f"{host.url}/raw/{repository}/{ref}/{quote(name.removeprefix(f'{repository}/'))}"
                    entries.append({**entry, "type": "file", "download_url": url})
            self._answer(json.dumps([*entries, {"name": "sub", "type": "dir", "sha": "0", "size": 0}]).encode())

        def _file(self, repository: str, commit: str, path: str) -> None:
            if host.statuses:
                self.send_error(host.statuses.pop(0))
                return
            name = f"{repository}/{path}"
            if name not in host.files or commit != host.commits.get(repository, COMMIT):
                self.send_error(404)
                return
            data, start = host.swapped.get(name, host.files[name]), 0
            asked = self.headers.get("Range")
            if asked and host.ranges:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            sent = data[start:]
            self.wfile.write(sent[: host.cut_after.pop(0)] if host.cut_after else sent)

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        host.url = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield host
        finally:
            listening.shutdown()
            thread.join()
