"""Any codec on a smaller picture: a rival of every codec where the network resizes its input anyway (METHODS §1).

::

    picture (h, w) --Lanczos--> (h/f, w/f) --codec--> header + stream --codec--> (h/f, w/f) --Lanczos--> (h, w)
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from cfm.codecs.picture import Picture, plane_shapes
from cfm.errors import BitstreamError, ConfigurationError, InputError

if TYPE_CHECKING:
    from cfm.codecs.registry import Codec

MAGIC, VERSION = 0xE3, 1
GEOMETRY = struct.Struct("<BBHH")
CHECKSUM = struct.Struct("<H")  # of the header alone: every codec's stream has a checksum of its own
HEADER_BYTES = GEOMETRY.size + CHECKSUM.size
LARGEST_SIDE = 65535
LEAST_SIDE = 16  # a side is not made smaller than that
LARGEST_FACTOR = 16.0


class DownsampledStream(NamedTuple):
    """The size of the picture before it was downsampled, in pixels, and the stream of the smaller one."""

    height: int
    width: int
    payload: bytes


def write_downsampled(stream: DownsampledStream) -> bytes:
    """Serialise: 8 bytes of header, which end with 16 bits of its CRC-32, then the payload."""
    geometry = GEOMETRY.pack(MAGIC, VERSION, stream.height, stream.width)
    return geometry + CHECKSUM.pack(zlib.crc32(geometry) & 0xFFFF) + stream.payload


def read_downsampled(stream: bytes) -> DownsampledStream:
    """Parse and verify the header; raises `BitstreamError` where it is damaged or of another kind."""
    if len(stream) <= HEADER_BYTES:
        raise BitstreamError(f"{len(stream)} bytes are too few for a downsampled picture's stream; the file was cut")
    if stream[0] != MAGIC:
        raise BitstreamError("not a downsampled picture's stream; name the codec that made it")
    geometry, (checksum,) = stream[: GEOMETRY.size], CHECKSUM.unpack_from(stream, GEOMETRY.size)
    if zlib.crc32(geometry) & 0xFFFF != checksum:
        raise BitstreamError("the header of the downsampled picture is damaged (its checksum differs); encode it anew")
    _, version, height, width = GEOMETRY.unpack(geometry)
    if version != VERSION or not height or not width:
        raise BitstreamError("the header of the downsampled picture is not of this version; encode it anew")
    return DownsampledStream(height, width, stream[HEADER_BYTES:])


def smaller_side(side: int, factor: float) -> int:
    """A side divided by a factor, in samples: even, so that chroma keeps its place, and at least 16 where it was so."""
    return min(side, max(LEAST_SIDE, 2 * round(side / (2 * factor))))


class DownsampledCodec:
    """A codec that is given the picture downsampled, and whose pictures are upsampled again.

    Parameters
    ----------
    codec : Codec
        Codes the smaller picture; the rate points are its own.
    factor : float
        What both sides are divided by, above 1 and at most 16.

    Raises
    ------
    ConfigurationError
        If the factor is out of range.
    """

    def __init__(self, codec: Codec, factor: float):
        if not 1 < factor <= LARGEST_FACTOR:
            raise ConfigurationError(
                f"codec {codec.name}: downsample {factor:g}; give a factor above 1, at most {LARGEST_FACTOR:g}"
            )
        self.codec, self.factor = codec, factor
        self.name, self.layout = f"{codec.name} downsampled by {factor:g}", codec.layout

    @property
    def points(self) -> tuple[int, ...]:
        """Those of the codec."""
        return self.codec.points

    def warm_up(self) -> None:
        """Do what the codec does before its first picture."""
        self.codec.warm_up()

    def encode(self, picture: Picture, point: int, **guidance: object) -> bytes:
        """Code an 8-bit picture; the header counts in the rate.

        Raises
        ------
        ConfigurationError
            If guidance is given, which is that of the whole picture, or as the codec does.
        InputError
            If the picture has more than 8 bits or a side above 65535, or as the codec does.
        """
        if guidance:
            given = ", ".join(sorted(guidance))
            raise ConfigurationError(f"{self.name}: takes no {given}, which is of the picture's own size; leave it out")
        if picture.bit_depth != 8:
            raise InputError(f"{self.name}: a picture of {picture.bit_depth} bits; convert it to 8 bits")
        if max(picture.height, picture.width) > LARGEST_SIDE:
            raise InputError(f"{self.name}: {picture.width}x{picture.height} pixels; sides up to {LARGEST_SIDE} fit")
        small = resized(picture, *self._smaller(picture.height, picture.width))
        payload = self.codec.encode(small, point)
        return write_downsampled(DownsampledStream(picture.height, picture.width, payload))

    def decode(self, stream: bytes) -> Picture:
        """Decode a stream to a picture of the original size; raises `BitstreamError` on a broken one."""
        parsed = read_downsampled(stream)
        small = self.codec.decode(parsed.payload)
        # Before memory is taken for a size that only the header claims.
        if (small.height, small.width) != (expected := self._smaller(parsed.height, parsed.width)):
            raise BitstreamError(
                f"a picture of {small.width}x{small.height} where {parsed.width}x{parsed.height} downsampled by "
                f"{self.factor:g} has {expected[1]}x{expected[0]}; decode it with the factor it was made with"
            )
        if small.bit_depth != 8:
            raise BitstreamError(f"a downsampled picture of {small.bit_depth} bits where 8 belong; encode it anew")
        return resized(small, parsed.height, parsed.width)

    def _smaller(self, height: int, width: int) -> tuple[int, int]:
        return smaller_side(height, self.factor), smaller_side(width, self.factor)


def resized(picture: Picture, height: int, width: int) -> Picture:
    """An 8-bit picture at another size, each plane by itself, by Lanczos' kernel of 3 lobes (antialiased).

    A chroma sample of 4:2:0 stays in the centre of its 2x2 pixels at both sizes, where sides are odd too.

    Parameters
    ----------
    picture : Picture
        Of any layout.
    height, width : int
        The new size, pixels.
    """
    down, across = picture.height / height, picture.width / width
    planes = []
    for plane, (rows, columns) in zip(picture.planes, plane_shapes(picture.layout, height, width), strict=True):
        # One sample more: where the new side is odd and the old one is not, the last chroma sample reaches beyond.
        image = Image.fromarray(np.pad(plane, ((0, 1), (0, 1)), mode="edge"))
        box = (0, 0, columns * across, rows * down)
        planes.append(np.asarray(image.resize((columns, rows), Image.Resampling.LANCZOS, box)))
    return Picture(tuple(planes), picture.layout, 8)
