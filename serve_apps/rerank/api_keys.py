"""Who may ask: API keys, of which the service knows hashes alone.

    python -m serve_apps.rerank.api_keys search-team >> keys.txt

prints a new key to the terminal, once, and the line that stands for it to the file: NAME, a space, the SHA-256 of the
key in hex. A key is 256 random bits, so that its hash needs no salt and no slow function. An empty line and one that
begins with # mean nothing. A changed file counts at once; a line that is taken out locks its key out.
"""

import hashlib
import hmac
import logging
import re
import secrets
import sys
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pinrank.errors import SettingsError
from serve_apps.rerank.problems import Problem

log = logging.getLogger("ray.serve")

OPEN = ("/health", "/ready")
"""Paths for those that look after the service, not for its users."""

PREFIX = "pinrank-"
_LINE = re.compile(r"([\w.@-]+) ([0-9a-f]{64})", re.ASCII)


class ApiKeys:
    """ASGI middleware: a request without a known key gets 401, before its body is read.

    The key comes as `Authorization: Bearer KEY`, as OpenAI's and Cohere's clients send it, or as `X-Api-Key: KEY`.
    """

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self.app = app
        self.path = path
        self.seen = state_of(path)
        self.hashes = read_hashes(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or inner_path(scope) in OPEN or self.knows(key_of(Headers(scope=scope))):
            return await self.app(scope, receive, send)
        message = "send an API key that this service knows, as 'Authorization: Bearer KEY'"
        unknown = Problem(401, "unauthorized", message, {"WWW-Authenticate": "Bearer", "Connection": "close"})
        await unknown.response()(scope, receive, send)

    def knows(self, key: str) -> bool:
        """Whether a key is one of the file's. Takes as long for one that is not, whatever it has in common with one."""
        self._read_again()
        given = hash_of(key)
        return sum([hmac.compare_digest(given, known) for known in self.hashes]) > 0

    def _read_again(self) -> None:
        """Take over a changed file; one that cannot be read leaves what was known, and is tried again until it can."""
        try:
            state = state_of(self.path)
            if state == self.seen:
                return
            self.hashes = read_hashes(self.path)
        except (OSError, SettingsError) as cause:
            log.error("API keys stay as they were: %s", cause)
            if isinstance(cause, OSError) or isinstance(cause.__cause__, OSError):
                return
        self.seen = state


def state_of(path: Path) -> tuple[int, ...]:
    """What differs once a file was written or replaced, even within a tick of the clock or with its old time."""
    found = path.stat()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def inner_path(scope: Scope) -> str:
    """The path in the app, without the prefix that Serve routes it by."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def key_of(headers: Headers) -> str:
    """The key that a request sends, '' without one."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def hash_of(key: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def read_hashes(path: Path) -> tuple[str, ...]:
    """The hashes of a file of keys. Raises SettingsError that names a line which is none."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        raise SettingsError(f"{path}: cannot be read as API keys ({cause}).") from cause
    hashes = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            if (found := _LINE.fullmatch(line.strip())) is None:
                command = "python -m serve_apps.rerank.api_keys NAME"
                raise SettingsError(f"{path}: line {number} is not NAME and a SHA-256 in hex. Make it with {command}.")
            hashes.append(found[2])
    return tuple(hashes)


def main(names: list[str]) -> int:
    """Make a key for a name: the key to stderr, its line to stdout."""
    if len(names) != 1 or not re.fullmatch(r"[\w.@-]+", names[0], re.ASCII):
        print("usage: python -m serve_apps.rerank.api_keys NAME >> FILE", file=sys.stderr)
        return 2
    key = PREFIX + secrets.token_urlsafe(32)
    print(f"{names[0]} {hash_of(key)}")
    print(f"The key of {names[0]}, shown this once: {key}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
