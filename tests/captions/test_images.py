"""Pictures are fetched within limits and decoded with suspicion; whatever is wrong with one is a reason."""

import io
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pinrank.captions.images import Fetcher, ImageSettings, Unreadable, decode
from tests.captions.drawn import LIMITS, draw

QUICK = {"timeout_s": 0.5, "retries": 1, "max_bytes": 5000}


class Web(BaseHTTPRequestHandler):
    """A server that answers well and badly."""

    picture = b""
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        first = self.asked.count(self.path) == 1
        if self.path == "/slow.png":
            time.sleep(1.5)
        if self.path == "/drip.png":
            return self._drip()
        status = {"/gone.png": 404, "/moved.png": 302, "/down.png": 503, "/hiccup.png": 503 if first else 200}
        self.send_response(status.get(self.path, 200))
        if self.path == "/moved.png":
            self.send_header("Location", "/disc.png")
        self.end_headers()
        self.wfile.write(b"x" * 9000 if self.path == "/large.png" else self.picture)

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(20):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    Web.picture = draw(tmp_path_factory.mktemp("web") / "disc.png", 1).read_bytes()
    Web.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def quick() -> Iterator[Fetcher]:
    fetcher = Fetcher(ImageSettings(**QUICK))
    yield fetcher
    fetcher.close()


def fetched(image_url: str, **settings: object) -> bytes:
    fetcher = Fetcher(ImageSettings(**settings))
    try:
        return fetcher.fetch(image_url)
    finally:
        fetcher.close()


def test_a_path_a_file_uri_and_a_name_under_the_root_are_the_same_file(tmp_path: Path) -> None:
    content = draw(tmp_path / "sub/disc.png", 2).read_bytes()
    assert fetched(str(tmp_path / "sub/disc.png")) == content
    assert fetched(f"file://{tmp_path}/sub/disc.png") == content
    assert fetched("sub/disc.png", root=str(tmp_path)) == content
    assert fetched("disc.png", root=f"file://{tmp_path}/sub/") == content


@pytest.mark.parametrize("image_url", ["gone.png", "", ".", "\0", "a\nb", "data:image/png;base64,AAAA"])
def test_what_names_no_file_is_unreadable(tmp_path: Path, image_url: str) -> None:
    with pytest.raises(Unreadable, match=r"names no file|cannot be opened"):
        fetched(image_url, root=str(tmp_path))


@pytest.mark.parametrize("image_url", ["ftp://host/a.png", "javascript://x", "http://host/a.png", "s3x://bucket/a.png"])
def test_a_scheme_that_is_not_allowed_is_unreadable(image_url: str) -> None:
    with pytest.raises(Unreadable, match="has a scheme that is not opened"):
        fetched(image_url, schemes=("file",))


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(b"x" * 101)
    with pytest.raises(Unreadable, match="is larger than 100 bytes"):
        fetched(str(tmp_path / "large.png"), max_bytes=100)
    assert len(fetched(str(tmp_path / "large.png"), max_bytes=101)) == 101


@pytest.mark.parametrize("name", ["disc.png", "moved.png", "hiccup.png"])
def test_pictures_come_over_http(web: str, quick: Fetcher, name: str) -> None:
    assert quick.fetch(f"{web}/{name}") == Web.picture


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.png", r"cannot be fetched \(status 404\)"),
        ("down.png", r"cannot be fetched \(status 503\)"),
        ("large.png", "is larger than 5000 bytes"),
        ("slow.png", r"cannot be fetched \(ReadTimeout\)"),
        ("drip.png", r"takes longer than 0\.5 s"),
    ],
)
def test_a_bad_answer_has_its_reason(web: str, quick: Fetcher, name: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        quick.fetch(f"{web}/{name}")


def test_a_missing_page_is_asked_for_once_and_a_failing_server_twice(web: str, quick: Fetcher) -> None:
    for name in ("gone.png?once", "down.png"):
        before = len(Web.asked)
        with pytest.raises(Unreadable):
            quick.fetch(f"{web}/{name}" if name == "down.png" else f"{web}/gone.png")
        assert len(Web.asked) - before == (2 if name == "down.png" else 1)


@pytest.mark.parametrize(
    "image_url", ["http://127.0.0.1:1/a.png", "http://", "http://[", "http://a b/", "http://\ud800/"]
)
def test_an_address_that_leads_nowhere_is_unreadable(quick: Fetcher, image_url: str) -> None:
    with pytest.raises(Unreadable, match="cannot be fetched"):
        quick.fetch(image_url)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pictures_of_all_kinds_become_rgb(kind: str, mode: str) -> None:
    found = decode(encoded(Image.new(mode, (20, 30)), kind), LIMITS)
    assert (found.mode, found.size) == ("RGB", (20, 30))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "CMYK", "I;16"])
def test_pictures_of_all_modes_become_rgb(mode: str) -> None:
    assert decode(encoded(Image.new(mode, (20, 30)), "TIFF"), LIMITS).mode == "RGB"


def test_transparency_is_white() -> None:
    clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    assert decode(encoded(clear), LIMITS).getpixel((5, 5)) == (255, 255, 255)


def test_a_picture_that_lies_on_its_side_is_turned() -> None:
    exif = Image.Exif()
    exif[274] = 6
    assert decode(encoded(Image.new("RGB", (20, 30)), "JPEG", exif=exif), LIMITS).size == (30, 20)


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable, match="is no picture that can be decoded"):
        decode(content, LIMITS)


def test_a_file_that_breaks_off_is_unreadable(tmp_path: Path) -> None:
    content = draw(tmp_path / "disc.png", 1).read_bytes()
    with pytest.raises(Unreadable, match="is no picture that can be decoded"):
        decode(content[: len(content) // 2], LIMITS)


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes at most that claims side x side pixels."""
    small = encoded(Image.new("1", (16, 16)))
    head = small.index(b"IHDR")
    header = bytearray(small[head : head + 17])
    header[4:12] = side.to_bytes(4, "big") * 2
    return small[:head] + bytes(header) + zlib.crc32(header).to_bytes(4, "big") + small[head + 21 :]


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(Unreadable, match="has more than 50000000 pixels"):
        decode(bomb(8000), LIMITS)


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_pillows_own_limit_holds_whatever_ours_is(side: int) -> None:
    before = time.monotonic()
    with pytest.raises(Unreadable, match="has more pixels than Pillow opens"):
        decode(bomb(side), ImageSettings(max_pixels=10**12))
    assert time.monotonic() - before < 1


def test_a_spacer_is_no_picture() -> None:
    with pytest.raises(Unreadable, match="a side of fewer than 8 pixels"):
        decode(encoded(Image.new("RGB", (1, 300))), LIMITS)


@given(st.binary(max_size=200) | st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=8)))
def test_whatever_the_bytes_it_is_a_picture_or_a_reason(change: bytes | tuple[int, bytes]) -> None:
    content = change if isinstance(change, bytes) else _patched(encoded(Image.new("RGB", (20, 20), "red")), *change)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert decode(content, LIMITS).mode == "RGB"
        except Unreadable as reason:
            assert str(reason)


def _patched(content: bytes, place: int, other: bytes) -> bytes:
    place %= len(content)
    return content[:place] + other + content[place + len(other) :]
