"""Pieces of files mapped read-only behind each other, so that one array spans them all.

numpy then looks up the rows of all shards in one call; a loop over four files took twice as long for 500 rows. The
kernel is asked for a stretch of addresses, in which the pieces take their places (mmap with MAP_FIXED); what is left
between them reads as zeros. Nothing is read until it is touched, and processes of a machine share what was.
"""

import ctypes
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pinrank.embeddings.shard_file import ALIGN, HUGE, aligned
from pinrank.errors import StoreCorrupt

_MAP_FIXED = 0x10
_MADV_POPULATE_READ = 22
_MADV_HUGEPAGE = 14
_WARMED_BYTES = 2**26

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *3 * (ctypes.c_int,), ctypes.c_long)
_LIBC.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


@dataclass(frozen=True)
class Piece:
    """Bytes offset..offset + num_bytes of a file, and where they shall lie in the array; both multiples of ALIGN."""

    file: Path
    offset: int
    num_bytes: int
    at: int


def mapped(pieces: Sequence[Piece], num_bytes: int) -> NDArray[np.uint8]:
    """An array of num_bytes bytes in which the pieces lie at their places, zeros elsewhere.

    It stays as it is when the files are removed or replaced. Raises StoreCorrupt when a piece cannot be mapped.
    """
    if ALIGN % mmap.PAGESIZE:
        raise StoreCorrupt(f"this machine's pages of {mmap.PAGESIZE} bytes are larger than the {ALIGN} of pin stores")
    stretch = mmap.mmap(-1, aligned(num_bytes) + HUGE, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    whole = np.frombuffer(stretch, dtype=np.uint8)
    whole = whole[-whole.ctypes.data % HUGE :]
    for piece in pieces:
        if piece.num_bytes:
            _place(piece, whole.ctypes.data + piece.at)
    return whole[:num_bytes]


def warm(array: NDArray) -> None:
    """Read what an array maps and enter it into this process's page tables, without holding Python's lock."""
    for start in range(0, array.nbytes, _WARMED_BYTES):
        begin = array.ctypes.data + start
        size = min(_WARMED_BYTES, array.nbytes - start)
        _LIBC.madvise(begin, aligned(size), _MADV_HUGEPAGE)
        if _LIBC.madvise(begin, aligned(size), _MADV_POPULATE_READ):  # Linux before 5.14 does not know it
            _LIBC.madvise(begin, size, mmap.MADV_WILLNEED)


def _place(piece: Piece, address: int) -> None:
    try:
        descriptor = os.open(piece.file, os.O_RDONLY)
    except OSError as cause:
        raise StoreCorrupt(f"{piece.file}: cannot be opened ({cause.strerror}).") from cause
    try:
        protection, flags = mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED
        found = _LIBC.mmap(address, piece.num_bytes, protection, flags, descriptor, piece.offset)
        if found != address:
            raise StoreCorrupt(f"{piece.file}: cannot be mapped ({os.strerror(ctypes.get_errno())}).")
    finally:
        os.close(descriptor)
