"""A PNG writer whose bytes depend on the pixels alone: deflate's stored blocks, so no compressor's version matters."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STORED_LIMIT = 0xFFFF


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _stored_zlib(data: bytes) -> bytes:
    """A zlib stream (RFC 1950) of stored deflate blocks (RFC 1951, section 3.2.4)."""
    pieces = [b"\x78\x01"]
    for start in range(0, len(data), _STORED_LIMIT):
        block = data[start : start + _STORED_LIMIT]
        final = start + _STORED_LIMIT >= len(data)
        pieces.append(struct.pack("<BHH", final, len(block), len(block) ^ 0xFFFF) + block)
    pieces.append(struct.pack(">I", zlib.adler32(data)))
    return b"".join(pieces)


def png_bytes(image: np.ndarray) -> bytes:
    """The PNG file (8-bit RGB, not interlaced, unfiltered rows) of a picture (h, w, 3) uint8.

    Raises
    ------
    ValueError
        The array is not a picture of that kind, or has no pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"a picture must be (h, w, 3) uint8, not {image.shape} {image.dtype}")
    height, width, _ = image.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", _stored_zlib(rows.tobytes())) + _chunk(b"IEND", b"")
