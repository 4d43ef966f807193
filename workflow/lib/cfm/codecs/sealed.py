"""Our own encoders as codecs of the registry: plain Annex B streams, with a small unit at the end that finds damage.

The last NAL unit is of a type that the standard leaves to applications and that decoders pass over. It holds what the
stream itself cannot say: whether the sides are odd (4:2:0 crops by 2 samples), and a CRC-32 of that and all before.
"""

from __future__ import annotations

import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from cfm.codecs.annex_b import annex_b_unit, last_unit, without_prevention
from cfm.codecs.distortion import DECISIONS, Distortion, check_decisions
from cfm.codecs.encoded import EncodedPicture
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.judge import Judge
from cfm.codecs.picture import Picture, plane_shapes
from cfm.errors import BitstreamError, ConfigurationError, InputError

# Header of the last unit by codec: nal_ref_idc 3, nal_unit_type 30; nal_unit_type 62, nuh_temporal_id_plus1 1.
SEALS = {"avc": bytes([3 << 5 | 30]), "hevc": bytes([62 << 1, 1])}
SEAL_CONTENT = struct.Struct("<BI")
ODD_WIDTH, ODD_HEIGHT, MARK = 1, 2, 0x80
LARGEST_QP, LARGEST_DELTA, LARGEST_CHROMA_OFFSET = 51, 12, 12


class SealedCodec(ABC):
    """An intra encoder of ours, with the decoder that PyAV ships; a point is a QP.

    Parameters
    ----------
    deltas : sequence of int
        What may be added to the QP in a block.
    chroma_offset : int
        What chroma's QP differs by, before the standard's table.
    effort : int
        How much is tried, 1 to `largest_effort`.
    decisions : sequence of str
        Those of `cfm.codecs.distortion.DECISIONS` that use a distortion's data.

    Raises
    ------
    ConfigurationError
        If a delta, the offset or the effort is out of range, or there is no decision of a name.
    """

    name: ClassVar[str]
    decoder: ClassVar[str]
    largest_effort: ClassVar[int]
    layout: ClassVar[str] = "yuv420"

    def __init__(self, deltas: Sequence[int], chroma_offset: int, effort: int, decisions: Sequence[str]):
        if not deltas or max(map(abs, deltas)) > LARGEST_DELTA:
            raise ConfigurationError(
                f"codec {self.name}: delta QPs {list(deltas)}; name some within {LARGEST_DELTA} of 0"
            )
        if abs(chroma_offset) > LARGEST_CHROMA_OFFSET:
            raise ConfigurationError(f"codec {self.name}: chroma QP offset {chroma_offset} is not within -12 to 12")
        if not 1 <= effort <= self.largest_effort:
            raise ConfigurationError(f"codec {self.name}: effort {effort} is not within 1 to {self.largest_effort}")
        if not decisions:
            raise ConfigurationError(f"codec {self.name}: no decisions; name some of {', '.join(DECISIONS)}")
        try:
            check_decisions(decisions)
        except ConfigurationError as error:
            raise ConfigurationError(f"codec {self.name}: {error}") from None
        self.deltas, self.chroma_offset, self.effort = tuple(deltas), chroma_offset, effort
        self.decisions = tuple(decisions)

    @property
    def points(self) -> tuple[int, ...]:
        """QPs."""
        return tuple(range(LARGEST_QP + 1))

    def warm_up(self) -> None:
        """Compile the kernels where they are not in the cache yet: a minute or more."""
        planes = tuple(np.zeros(shape, np.uint8) for shape in plane_shapes(self.layout, 16, 16))
        self._encode(Picture(planes, self.layout, 8), LARGEST_QP // 2, None)

    def encode(
        self, picture: Picture, point: int, distortion: Distortion | None = None, judge: Judge | None = None
    ) -> bytes:
        """Code a picture of 8-bit 4:2:0 at a QP; arguments and errors are those of `encode_picture`."""
        return self.encode_picture(picture, point, distortion, judge).stream

    def encode_picture(
        self, picture: Picture, point: int, distortion: Distortion | None = None, judge: Judge | None = None
    ) -> EncodedPicture:
        """Code a picture of 8-bit 4:2:0 at a QP, with decisions by a distortion, and by a judge where there is one.

        What the encoder knows of the stream, such as where its bits are, comes with it.

        Raises
        ------
        ConfigurationError
            If there is no such QP.
        InputError
            If the picture has another layout or is too large, or the distortion is of another size.
        """
        if not 0 <= point <= LARGEST_QP:
            raise ConfigurationError(f"codec {self.name}: QP {point} is not within 0 to {LARGEST_QP}")
        if picture.layout != self.layout or picture.bit_depth != 8:
            form = f"{picture.bit_depth}-bit {picture.layout}"
            raise InputError(f"codec {self.name} codes 8-bit yuv420, not {form}: convert it")
        encoded = self._encode(picture, point, distortion, judge)
        odd = (ODD_WIDTH if picture.width % 2 else 0) | (ODD_HEIGHT if picture.height % 2 else 0)
        content = SEAL_CONTENT.pack(MARK | odd, zlib.crc32(encoded.stream, odd))
        return encoded._replace(stream=encoded.stream + annex_b_unit(SEALS[self.name], content))

    def decode(self, stream: bytes) -> Picture:
        """Decode a stream of this encoder; raises `BitstreamError` on a broken one."""
        body, unit = last_unit(stream)
        title, header = self.name.upper(), SEALS[self.name]
        content = without_prevention(unit[len(header) :])
        if not unit.startswith(header) or len(content) != SEAL_CONTENT.size:
            raise BitstreamError(
                f"the stream does not end as one of our {title} streams; it was cut, or is of another encoder"
            )
        mark, checksum = SEAL_CONTENT.unpack(content)
        odd = mark & (ODD_WIDTH | ODD_HEIGHT)
        if mark != MARK | odd or zlib.crc32(body, odd) != checksum:
            raise BitstreamError(f"the {title} stream is damaged (its checksum differs); fetch or encode it anew")
        planes = decode_annex_b(body, self.decoder, "yuv420p")
        height, width = planes[0].shape
        planes[0] = planes[0][: height - (odd & ODD_HEIGHT) // ODD_HEIGHT, : width - (odd & ODD_WIDTH)]
        return Picture(tuple(np.ascontiguousarray(plane) for plane in planes), self.layout, 8)

    @abstractmethod
    def _encode(
        self, picture: Picture, qp: int, distortion: Distortion | None, judge: Judge | None = None
    ) -> EncodedPicture:
        """Code a picture of the codec's form at a QP that there is."""


def codec_of(stream: bytes) -> str:
    """Name of the encoder of ours that made a stream; raises `BitstreamError` where none did."""
    unit = last_unit(stream)[1]
    for name, header in SEALS.items():
        if unit.startswith(header):
            return name
    raise BitstreamError("the stream does not end as one of ours; it was cut, or is of another encoder")
