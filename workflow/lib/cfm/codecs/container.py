"""Headers of our streams: what a payload is, its geometry and a checksum that finds damage before a decoder runs."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from cfm.codecs.picture import LAYOUTS
from cfm.errors import BitstreamError, InputError

CHECKSUM = struct.Struct("<I")
EXTERNAL_MAGIC, LEARNED_MAGIC = 0xE1, 0xE2
EXTERNAL_CODECS = ("x264", "x265", "kvazaar", "vvenc")
EXTERNAL_HEADER = struct.Struct("<BBBHH")
LEARNED_FAMILIES = ("cheng2020-attn", "elic", "lic-tcm")
LEARNED_VERSION = 2
LEARNED_HEADER = struct.Struct("<BBBBHH4s")
DEEP, PORTABLE = 1, 2  # bits of its form: 16-bit samples; predictions in double precision
SHORT_CHECK, LONG_CHECK = struct.Struct("<H"), struct.Struct("<I")
LAYOUT_NAMES = tuple(LAYOUTS)
LARGEST_SIDE = 65535


@dataclass(frozen=True)
class ExternalStream:
    """A stream of a standard codec with what it does not hold itself: the size before padding, and a checksum."""

    codec: str
    layout: str
    bit_depth: int
    height: int
    width: int
    payload: bytes


@dataclass(frozen=True)
class LearnedStream:
    """What a learned codec's stream holds.

    Attributes
    ----------
    family, point, digest
        The model: its family, the operating point (index of its Lagrangian) and 4 bytes that tell its weights.
    portable : bool
        Whether predictions are in double precision.
    bit_depth, height, width : int
        The picture's, before padding.
    string : bytes
        The entropy coded symbols.
    sides : tuple of (int, bool)
        Symbols whose table was a close decision, by their number, ascending, and how it fell.
    checks : tuple of int
        Checksums of the symbols: 16 bits each, the last 32.
    """

    family: str
    point: int
    digest: bytes
    portable: bool
    bit_depth: int
    height: int
    width: int
    string: bytes
    sides: tuple[tuple[int, bool], ...]
    checks: tuple[int, ...]


def write_external(stream: ExternalStream) -> bytes:
    """Serialise: 7 bytes of header, the payload, 4 bytes of CRC-32 over both."""
    header = EXTERNAL_HEADER.pack(
        EXTERNAL_MAGIC,
        EXTERNAL_CODECS.index(stream.codec),
        LAYOUT_NAMES.index(stream.layout) << 5 | stream.bit_depth,
        *_sides(stream.height, stream.width),
    )
    return _sealed(header + stream.payload)


def read_external(stream: bytes) -> ExternalStream:
    """Parse and verify; raises `BitstreamError` where the stream is damaged or of another kind."""
    body = _opened(stream, EXTERNAL_MAGIC, EXTERNAL_HEADER.size, "a standard codec's stream")
    _, codec, form, height, width = EXTERNAL_HEADER.unpack_from(body)
    if codec >= len(EXTERNAL_CODECS) or form >> 5 >= len(LAYOUT_NAMES) or not height or not width:
        raise BitstreamError("the stream's header is not of this version; encode the picture anew")
    layout, bit_depth = LAYOUT_NAMES[form >> 5], form & 31
    return ExternalStream(EXTERNAL_CODECS[codec], layout, bit_depth, height, width, body[EXTERNAL_HEADER.size :])


def write_learned(stream: LearnedStream) -> bytes:
    """Serialise.

    12 bytes of header, length of the string and number of sides (7 bits a byte), the sides (distance to the one before
    and how it fell; 7 bits a byte), the checksums, the string, 4 bytes of CRC-32 over all.
    """
    header = LEARNED_HEADER.pack(
        LEARNED_MAGIC,
        LEARNED_VERSION << 4 | LEARNED_FAMILIES.index(stream.family),
        stream.point,
        DEEP * (stream.bit_depth == 16) | PORTABLE * stream.portable,
        *_sides(stream.height, stream.width),
        stream.digest,
    )
    numbers = [len(stream.string), len(stream.sides)]
    before = 0
    for number, above in stream.sides:
        numbers.append(number - before << 1 | above)
        before = number
    checks = b"".join(SHORT_CHECK.pack(check) for check in stream.checks[:-1]) + LONG_CHECK.pack(stream.checks[-1])
    return _sealed(header + b"".join(map(_variable_length, numbers)) + checks + stream.string)


def read_learned(stream: bytes) -> LearnedStream:
    """Parse and verify; raises `BitstreamError` where the stream is damaged or of another kind."""
    body = _opened(stream, LEARNED_MAGIC, LEARNED_HEADER.size, "a learned codec's stream")
    _, kind, point, form, height, width, digest = LEARNED_HEADER.unpack_from(body)
    version, family = kind >> 4, kind & 15
    if version != LEARNED_VERSION or family >= len(LEARNED_FAMILIES) or form > DEEP | PORTABLE or not height * width:
        raise BitstreamError("the stream's header is not of this version; encode the picture anew")
    position = LEARNED_HEADER.size
    length, position = _read_variable_length(body, position)
    count, position = _read_variable_length(body, position)
    sides, number = [], 0
    for _ in range(count):
        coded, position = _read_variable_length(body, position)
        number += coded >> 1
        sides.append((number, bool(coded & 1)))
    checks_bytes = len(body) - length - position
    if checks_bytes < LONG_CHECK.size or checks_bytes % SHORT_CHECK.size:
        raise BitstreamError("the stream's parts do not fill it; encode the picture anew")
    short = checks_bytes - LONG_CHECK.size
    checks = [check for (check,) in SHORT_CHECK.iter_unpack(body[position : position + short])]
    checks.append(LONG_CHECK.unpack_from(body, position + short)[0])
    return LearnedStream(
        LEARNED_FAMILIES[family],
        point,
        digest,
        bool(form & PORTABLE),
        16 if form & DEEP else 8,
        height,
        width,
        body[len(body) - length :] if length else b"",
        tuple(sides),
        tuple(checks),
    )


def _sides(height: int, width: int) -> tuple[int, int]:
    if max(height, width) > LARGEST_SIDE:
        raise InputError(f"a picture of {width}x{height} is too large: sides up to {LARGEST_SIDE} can be coded")
    return height, width


def _sealed(body: bytes) -> bytes:
    return body + CHECKSUM.pack(zlib.crc32(body))


def _opened(stream: bytes, magic: int, header_bytes: int, what: str) -> bytes:
    """The stream without its checksum, which is verified first."""
    if len(stream) < header_bytes + CHECKSUM.size:
        raise BitstreamError(f"{len(stream)} bytes are too few for {what}; the file was cut")
    if stream[0] != magic:
        raise BitstreamError(f"not {what}; name the codec that made it")
    body, checksum = stream[: -CHECKSUM.size], CHECKSUM.unpack(stream[-CHECKSUM.size :])[0]
    if zlib.crc32(body) != checksum:
        raise BitstreamError(f"{what} is damaged (its checksum differs); fetch or encode it anew")
    return body


def _variable_length(value: int) -> bytes:
    """An unsigned number, 7 bits a byte, lowest first; the top bit says that more follow."""
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    return bytes([*coded, value])


def _read_variable_length(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(body) and shift < 35:
        byte = body[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
    raise BitstreamError("the stream's table of lengths is broken; encode the picture anew")
