"""API keys: a file of hashes, and who gets past it."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pinrank.errors import SettingsError
from serve_apps.rerank.api_keys import ApiKeys, hash_of, log, main, read_hashes


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    path.write_text(f"# who may ask\n\nteam {hash_of('secret')}\nother {hash_of('another')}\n")
    return path


def get(app: Any, path: str, **headers: str | bytes) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rerank") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(asked())


def guarded(keys: Path) -> ApiKeys:
    inner = FastAPI()
    for path in ("/health", "/ready", "/v1/models"):
        inner.get(path)(lambda: "in")
    return ApiKeys(inner, keys)


def test_a_known_key_comes_as_bearer_or_in_a_header_of_its_own(keys: Path) -> None:
    app = guarded(keys)
    assert get(app, "/v1/models", authorization="Bearer secret").status_code == 200
    assert get(app, "/v1/models", authorization="bearer another").status_code == 200
    assert get(app, "/v1/models", **{"x-api-key": "secret"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer secre"},
        {"authorization": "Bearer "},
        {"authorization": "Basic secret"},
        {"x-api-key": hash_of("secret")},
        {"authorization": b"Bearer secr\xe9t"},
    ],
    ids=["none", "wrong", "empty", "basic", "the_hash", "not_ascii"],
)
def test_anything_else_gets_a_401_in_the_form_of_all_errors(keys: Path, headers: dict[str, str | bytes]) -> None:
    response = get(guarded(keys), "/v1/models", **headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.json()["error_type"] == "unauthorized"


def test_health_and_readiness_are_open(keys: Path) -> None:
    app = guarded(keys)
    assert [get(app, path).status_code for path in ("/health", "/ready", "/health/../v1/models")] == [200, 200, 401]


def test_a_changed_file_counts_at_once_and_a_broken_one_does_not(keys: Path) -> None:
    app = guarded(keys)
    keys.write_text(f"other {hash_of('another')}\n")
    os.utime(keys, ns=(1, 1))
    assert [get(app, "/v1/models", **{"x-api-key": key}).status_code for key in ("secret", "another")] == [401, 200]
    keys.write_text("nonsense\n")
    os.utime(keys, ns=(2, 2))
    assert get(app, "/v1/models", **{"x-api-key": "another"}).status_code == 200


def test_a_changed_file_that_cannot_be_read_once_is_read_at_the_next_request(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, read_text, failing = guarded(keys), Path.read_text, [OSError("too many open files")]

    def read(path: Path) -> str:
        if failing:
            raise failing.pop()
        return read_text(path)

    monkeypatch.setattr(Path, "read_text", read)
    keys.write_text(f"other {hash_of('another')}\n")
    os.utime(keys, ns=(1, 1))
    assert [get(app, "/v1/models", **{"x-api-key": "secret"}).status_code for _ in range(2)] == [200, 401]


def test_a_changed_file_counts_whatever_its_time(keys: Path) -> None:
    app, before = guarded(keys), keys.stat()
    other = keys.with_name("other.txt")
    other.write_text(f"# who may ask\n\nteam {hash_of('newer!')}\nother {hash_of('another')}\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(keys)
    assert keys.stat().st_size == before.st_size
    assert get(app, "/v1/models", **{"x-api-key": "secret"}).status_code == 401


def test_a_broken_file_is_told_once(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, told = guarded(keys), []
    monkeypatch.setattr(log, "error", lambda *given: told.append(given))  # Ray may keep the logger's lines to itself
    keys.write_text("nonsense\n")
    os.utime(keys, ns=(2, 2))
    assert [get(app, "/v1/models", **{"x-api-key": "another"}).status_code for _ in range(3)] == [200] * 3
    assert len(told) == 1


def test_a_line_that_is_none_is_named(keys: Path) -> None:
    keys.write_text(f"team {hash_of('secret')}\nteam secret\n")
    with pytest.raises(SettingsError, match="line 2 is not NAME and a SHA-256"):
        read_hashes(keys)
    with pytest.raises(SettingsError, match="cannot be read as API keys"):
        read_hashes(keys.with_name("gone"))


def test_the_command_makes_a_key_and_the_line_that_stands_for_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["team"]) == 0
    out, err = capsys.readouterr()
    key = re.search(r"pinrank-\S{43}", err)[0]
    assert out == f"team {hash_of(key)}\n"
    (tmp_path / "keys").write_text(out)
    assert read_hashes(tmp_path / "keys") == (hash_of(key),)
    assert main([]) == 2
