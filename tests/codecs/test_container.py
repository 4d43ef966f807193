"""Headers of streams: exact sizes, round trips, and no byte that can change unseen."""

import zlib

import numpy as np
import pytest

from cfm.codecs.container import (
    ExternalStream,
    LearnedStream,
    read_external,
    read_learned,
    write_external,
    write_learned,
)
from cfm.errors import BitstreamError, InputError

EXTERNAL = ExternalStream("vvenc", "grey", 10, 1, 65535, b"payload")
LEARNED = LearnedStream(
    "elic", 3, b"\1\2\3\4", True, 16, 17, 23, b"z" * 20000, ((5, True), (300, False)), (1, 0xFFFF, 1 << 31)
)


def test_round_trips():
    assert read_external(write_external(EXTERNAL)) == EXTERNAL
    assert read_learned(write_learned(LEARNED)) == LEARNED


def test_sizes_are_as_documented():
    assert len(write_external(EXTERNAL)) == 7 + len(b"payload") + 4
    assert len(write_learned(LEARNED)) == 12 + (3 + 1) + (1 + 2) + (2 + 2 + 4) + 20000 + 4


@pytest.mark.parametrize(("stream", "read"), [(write_external(EXTERNAL), read_external)])
def test_every_flipped_bit_and_every_cut_is_found(stream, read):
    for position in range(len(stream)):
        for bit in range(8):
            broken = bytearray(stream)
            broken[position] ^= 1 << bit
            with pytest.raises(BitstreamError):
                read(bytes(broken))
        with pytest.raises(BitstreamError):
            read(stream[:position])


def test_one_kind_is_not_read_as_the_other():
    with pytest.raises(BitstreamError):
        read_learned(write_external(EXTERNAL))
    with pytest.raises(BitstreamError):
        read_external(write_learned(LEARNED))


def test_garbage_with_a_good_checksum_is_refused():
    rng = np.random.default_rng(5)
    for read, magic in ((read_external, 0xE1), (read_learned, 0xE2)):
        refused = 0
        for _ in range(300):
            body = bytes([magic]) + rng.bytes(30)
            try:
                read(body + zlib.crc32(body).to_bytes(4, "little"))
            except BitstreamError:
                refused += 1
        assert refused > 200


def test_a_picture_too_large_for_the_header():
    with pytest.raises(InputError, match="65535"):
        write_external(ExternalStream("x264", "yuv420", 8, 65536, 1, b""))
