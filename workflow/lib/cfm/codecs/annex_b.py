"""Bits, Exp-Golomb codes and NAL units with start codes: what the streams of AVC and HEVC share (annex B of both)."""

from __future__ import annotations

import numpy as np

START_CODE = b"\0\0\0\1"
PREVENTION = b"\0\0\3"


class BitWriter:
    """Bits, most significant first."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def put(self, value: int, count: int) -> None:
        """An unsigned number of `count` bits."""
        self.bits += [(value >> shift) & 1 for shift in range(count - 1, -1, -1)]

    def ue(self, value: int) -> None:
        """An unsigned Exp-Golomb code."""
        length = (value + 1).bit_length()
        self.put(0, length - 1)
        self.put(value + 1, length)

    def se(self, value: int) -> None:
        """A signed Exp-Golomb code."""
        self.ue(2 * value - 1 if value > 0 else -2 * value)

    def stop(self) -> bytes:
        """The bytes, after a stop bit and zeros to the next byte."""
        self.put(1, 1)
        return self.aligned(0)

    def aligned(self, filler: int) -> bytes:
        """The bytes, filled up with a bit."""
        bits = self.bits + [filler] * (-len(self.bits) % 8)
        return np.packbits(np.array(bits, np.uint8)).tobytes()


def annex_b_unit(header: bytes, payload: bytes) -> bytes:
    """A NAL unit with its start code, and with emulation prevention in its payload; its header ends in no zero."""
    out, zeros = bytearray(), 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return START_CODE + header + bytes(out)


def last_unit(stream: bytes) -> tuple[bytes, bytes]:
    """What precedes the last NAL unit with a start code of ours, and that unit: both empty where there is none."""
    start = stream.rfind(START_CODE)
    return (stream[:start], stream[start + len(START_CODE) :]) if start >= 0 else (b"", b"")


def without_prevention(payload: bytes) -> bytes:
    """A payload as it was before emulation prevention."""
    return payload.replace(PREVENTION, PREVENTION[:2])
