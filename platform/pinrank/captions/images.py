"""From a pin's image_url to a picture: fetched within limits, decoded with suspicion.

A picture that cannot be had or believed is Unreadable, with a reason that completes the sentence "image_url ...".
"""

import io
import struct
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pyarrow as pa
from PIL import Image, ImageOps
from pyarrow import fs as pafs
from pydantic import BaseModel, ConfigDict, Field

from pinrank.errors import TableError
from pinrank.parquet import filesystem_of

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What is opened. Other formats have decoders that call programs (PostScript), or hardly a reader."""

WEB = ("http", "https")
CHUNK_BYTES = 2**16

BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
"""What Pillow's decoders raise for broken files."""


class ImageSettings(BaseModel):
    """Where pictures may come from, and how large they may be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: str = Field("", description="folder or URI that relative image_urls are under; empty: the working directory")
    schemes: tuple[str, ...] = Field(
        ("file", "http", "https", "s3", "gs"), description="of image_urls that are opened; a path counts as file"
    )
    timeout_s: float = Field(10, gt=0, description="for a whole download, and for each wait within it")
    retries: int = Field(1, ge=0, description="of a download that timed out, broke off, or met a server's failure")
    max_bytes: int = Field(20 * 2**20, ge=1, description="of a file; a larger one is unreadable")
    max_pixels: int = Field(
        50_000_000, ge=1, description="of a picture; a larger one is unreadable, before it is decoded"
    )
    min_side: int = Field(8, ge=1, description="pixels; a smaller picture is unreadable: a spacer shows nothing")


class Unreadable(Exception):
    """A picture that cannot be had, or is none; its text is the reason."""


class Fetcher:
    """Opens image_urls; holds its connections, and may be used from several threads."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = settings
        plain = {"accept-encoding": "identity"}  # a small compressed answer can be a large one
        self.client = httpx.Client(follow_redirects=True, max_redirects=5, timeout=settings.timeout_s, headers=plain)

    def close(self) -> None:
        """Let the connections go."""
        self.client.close()

    def fetch(self, image_url: str) -> bytes:
        """The file's content; Unreadable when it cannot be had within the limits."""
        scheme = image_url.partition("://")[0].lower() if "://" in image_url else "file"
        if scheme not in self.settings.schemes:
            raise Unreadable(f"has a scheme that is not opened ({scheme[:20]})")
        return self._from_web(image_url) if scheme in WEB else self._from_files(image_url)

    def _from_web(self, image_url: str) -> bytes:
        for attempt in range(self.settings.retries + 1):
            try:
                with self.client.stream("GET", image_url) as response:
                    if response.status_code < 500 or attempt == self.settings.retries:
                        return self._body(response)
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as cause:
                if attempt == self.settings.retries or not isinstance(cause, httpx.TransportError):
                    raise Unreadable(f"cannot be fetched ({type(cause).__name__})") from cause
        raise AssertionError("the last attempt returns or raises")

    def _body(self, response: httpx.Response) -> bytes:
        if response.status_code != httpx.codes.OK:
            raise Unreadable(f"cannot be fetched (status {response.status_code})")
        deadline = time.monotonic() + self.settings.timeout_s
        content = bytearray()
        for chunk in response.iter_raw(CHUNK_BYTES):
            content += chunk
            self._refuse_large(len(content))
            if time.monotonic() > deadline:
                raise Unreadable(f"takes longer than {self.settings.timeout_s:g} s")
        return bytes(content)

    def _from_files(self, image_url: str) -> bytes:
        try:
            filesystem, inner = filesystem_of(_under(self.settings.root, image_url))
            info = filesystem.get_file_info(inner)
            if info.type != pafs.FileType.File:
                raise Unreadable("names no file")
            self._refuse_large(info.size or 0)
            with filesystem.open_input_stream(inner) as stream:
                content = stream.read(self.settings.max_bytes + 1)
        except (TableError, OSError, ValueError, pa.ArrowException) as cause:
            raise Unreadable(f"cannot be opened ({type(cause).__name__})") from cause
        self._refuse_large(len(content))
        return bytes(content)

    def _refuse_large(self, num_bytes: int) -> None:
        if num_bytes > self.settings.max_bytes:
            raise Unreadable(f"is larger than {self.settings.max_bytes} bytes")


def decode(content: bytes, settings: ImageSettings) -> Image.Image:
    """The first frame as RGB, upright, on white where it is transparent; Unreadable for what is no such picture.

    A picture of too many pixels is refused by its header, and so is what Pillow calls a decompression bomb.
    """
    try:
        with _bombs_are_errors():
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            _refuse_size(image, settings)
            upright = ImageOps.exif_transpose(image)
            return _on_white(upright) if upright.has_transparency_data else upright.convert("RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as cause:
        raise Unreadable("has more pixels than Pillow opens") from cause
    except BROKEN as cause:
        raise Unreadable(f"is no picture that can be decoded ({type(cause).__name__})") from cause


def _refuse_size(image: Image.Image, settings: ImageSettings) -> None:
    if image.width * image.height > settings.max_pixels:
        raise Unreadable(f"has more than {settings.max_pixels} pixels")
    if min(image.size) < settings.min_side:
        raise Unreadable(f"has a side of fewer than {settings.min_side} pixels")


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


@contextmanager
def _bombs_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _under(root: str, image_url: str) -> str:
    if not root or "://" in image_url or image_url.startswith("/"):
        return image_url
    return f"{root.rstrip('/')}/{image_url}"
