"""AVC as a codec of the registry: plain Annex B streams, with a small unit at the end that finds damage.

The last NAL unit is of a type that the standard leaves to applications and that decoders pass over. It holds what the
stream itself cannot say: whether the sides are odd (4:2:0 crops by 2 samples), and a CRC-32 of all before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from cfm.codecs.avc.encoder import LARGEST_EFFORT, LARGEST_QP, encode_picture
from cfm.codecs.avc.syntax import START_CODE, nal_unit
from cfm.codecs.distortion import Distortion
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.picture import Picture
from cfm.errors import BitstreamError, ConfigurationError, InputError

SEAL = 30  # nal_unit_type
SEAL_CONTENT = struct.Struct("<BI")
ODD_WIDTH, ODD_HEIGHT, MARK = 1, 2, 0x80
LARGEST_DELTA, LARGEST_CHROMA_OFFSET = 12, 12


class Avc:
    """Our intra encoder of AVC, with the decoder that PyAV ships; a point is a QP.

    Parameters
    ----------
    deltas : sequence of int
        What may be added to the QP in each macroblock.
    chroma_offset : int
        chroma_qp_index_offset.
    cabac : bool
        Whether the entropy coder is CABAC, else CAVLC.
    effort : int
        How many ways to choose its levels are tried in a macroblock, 1 to 5.

    Raises
    ------
    ConfigurationError
        If a delta, the offset or the effort is out of range.
    """

    name: ClassVar[str] = "avc"
    layout: ClassVar[str] = "yuv420"

    def __init__(self, deltas: Sequence[int] = (0,), chroma_offset: int = 0, cabac: bool = True, effort: int = 1):
        if not deltas or max(map(abs, deltas)) > LARGEST_DELTA:
            raise ConfigurationError(f"codec avc: delta QPs {list(deltas)}; name some within {LARGEST_DELTA} of 0")
        if abs(chroma_offset) > LARGEST_CHROMA_OFFSET:
            raise ConfigurationError(f"codec avc: chroma QP offset {chroma_offset} is not within -12 to 12")
        if not 1 <= effort <= LARGEST_EFFORT:
            raise ConfigurationError(f"codec avc: effort {effort} is not within 1 to {LARGEST_EFFORT}")
        self.effort = effort
        self.deltas, self.chroma_offset, self.cabac = tuple(deltas), chroma_offset, cabac

    @staticmethod
    def warm_up() -> None:
        """Compile the kernels where they are not in the cache yet: about a minute."""
        encode_picture(Picture((np.zeros((16, 16), np.uint8), *[np.zeros((8, 8), np.uint8)] * 2), "yuv420", 8), 30)

    @property
    def points(self) -> tuple[int, ...]:
        """QPs."""
        return tuple(range(LARGEST_QP + 1))

    def encode(self, picture: Picture, point: int, distortion: Distortion | None = None) -> bytes:
        """Code a picture of 8-bit 4:2:0 at a QP.

        Raises
        ------
        ConfigurationError
            If there is no such QP.
        InputError
            If the picture has another layout or is too large, or the distortion is of another size.
        """
        if not 0 <= point <= LARGEST_QP:
            raise ConfigurationError(f"codec avc: QP {point} is not within 0 to {LARGEST_QP}")
        if picture.layout != self.layout or picture.bit_depth != 8:
            raise InputError(f"codec avc codes 8-bit yuv420, not {picture.bit_depth}-bit {picture.layout}: convert it")
        coded = encode_picture(
            picture, point, distortion, self.deltas, self.chroma_offset, self.cabac, effort=self.effort
        )
        odd = (ODD_WIDTH if picture.width % 2 else 0) | (ODD_HEIGHT if picture.height % 2 else 0)
        return coded.stream + nal_unit(SEAL, SEAL_CONTENT.pack(MARK | odd, zlib.crc32(coded.stream)))

    def decode(self, stream: bytes) -> Picture:
        """Decode a stream of this encoder; raises `BitstreamError` on a broken one."""
        start = stream.rfind(START_CODE)
        unit = stream[start + len(START_CODE) :] if start >= 0 else b""
        content = unit[1:].replace(b"\0\0\3", b"\0\0")
        if not unit or unit[0] & 31 != SEAL or len(content) != SEAL_CONTENT.size:
            raise BitstreamError(
                "the stream does not end as one of our AVC streams; it was cut, or is of another encoder"
            )
        odd, checksum = SEAL_CONTENT.unpack(content)
        if not odd & MARK or zlib.crc32(stream[:start]) != checksum:
            raise BitstreamError("the AVC stream is damaged (its checksum differs); fetch or encode it anew")
        planes = decode_annex_b(stream[:start], "h264", "yuv420p")
        height, width = planes[0].shape
        planes[0] = planes[0][: height - (odd & ODD_HEIGHT) // ODD_HEIGHT, : width - (odd & ODD_WIDTH)]
        return Picture(tuple(np.ascontiguousarray(plane) for plane in planes), self.layout, 8)
