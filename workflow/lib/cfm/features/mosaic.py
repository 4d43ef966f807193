"""Feature scales as pictures that an image codec codes: normalised, quantised and laid out as a mosaic of tiles.

A scale (C, h, w) becomes one picture: tile t shows channels 3t, 3t + 1, 3t + 2 as red, green and blue (layout "rgb"),
or channel t (layout "grey"). Tiles fill a near-square grid row by row and are not padded. What the grid has left over
takes the mean of the samples that are used, which costs a codec little. METHODS §3; MFIBA, section 4.1.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cfm.codecs.picture import Picture
from cfm.errors import BitstreamError, InputError

CHANNELS_PER_TILE = {"rgb": 3, "grey": 1}
BIT_DEPTH = {"rgb": 16, "grey": 10}
LAYOUT_TAGS = {"rgb": 0xF1, "grey": 0xF2}
HEADER = struct.Struct("<BHHHff")
CHECK = struct.Struct("<H")
HEADER_BYTES = HEADER.size + CHECK.size


class PictureCodec(Protocol):
    """What a mosaic needs of a codec; `layout` is what it codes of pictures, "rgb" or "yuv420"."""

    name: str
    layout: str

    def encode(self, picture: Picture, point: int) -> bytes: ...

    def decode(self, stream: bytes) -> Picture: ...


@dataclass(frozen=True)
class MosaicGeometry:
    """How the channels of one scale lie in a mosaic.

    Attributes
    ----------
    layout : str
        "rgb" or "grey".
    channels, height, width : int
        Shape of the scale, (C, h, w) samples.
    """

    layout: str
    channels: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.layout not in CHANNELS_PER_TILE:
            raise ValueError(f"unknown mosaic layout {self.layout!r}; known: {', '.join(CHANNELS_PER_TILE)}")
        if min(self.channels, self.height, self.width) < 1:
            raise ValueError(f"a scale of shape {(self.channels, self.height, self.width)} has no samples")

    @property
    def tiles(self) -> int:
        """Tiles that hold at least one channel: 86 for 256 channels in "rgb"."""
        return -(-self.channels // CHANNELS_PER_TILE[self.layout])

    @property
    def columns(self) -> int:
        """Tiles in a row of the grid: 10 for 86 tiles."""
        return math.isqrt(self.tiles - 1) + 1

    @property
    def rows(self) -> int:
        """Rows of the grid: 9 for 86 tiles."""
        return -(-self.tiles // self.columns)

    @property
    def mosaic_height(self) -> int:
        """Rows of samples of the mosaic."""
        return self.rows * self.height

    @property
    def mosaic_width(self) -> int:
        """Columns of samples of the mosaic."""
        return self.columns * self.width

    @property
    def samples(self) -> int:
        """Samples of one plane of the mosaic: the divisor of `packed_bpp`."""
        return self.mosaic_height * self.mosaic_width


@dataclass(frozen=True)
class Mosaic:
    """A scale as a picture, with the range that its normalisation removed.

    Attributes
    ----------
    picture : Picture
        "rgb" of 16 bits or "grey" of 10 bits.
    geometry : MosaicGeometry
        Where each channel lies.
    minimum, maximum : float
        Values of sample 0 and of the largest sample; exactly representable in 32-bit floating point.
    """

    picture: Picture
    geometry: MosaicGeometry
    minimum: float
    maximum: float


def pack_scale(feature: Tensor, layout: str) -> Mosaic:
    """Normalise one scale to [0, 1] by its own minimum and maximum, quantise it and lay it out.

    Parameters
    ----------
    feature : Tensor (C, h, w) or (1, C, h, w)
        One scale of a pyramid, finite.
    layout : str
        "rgb" (three channels a tile, 16 bits) or "grey" (one channel a tile, 10 bits).

    Raises
    ------
    InputError
        If a value is not finite.
    ValueError
        If the shape or the layout is not one of the above.
    """
    scale = feature.detach().cpu().numpy().astype(np.float32)
    if scale.ndim == 4 and scale.shape[0] == 1:
        scale = scale[0]
    if scale.ndim != 3:
        raise ValueError(f"a scale has the shape (C, h, w), not {tuple(feature.shape)}")
    if not np.isfinite(scale).all():
        raise InputError("a feature scale holds values that are not finite: check the network's weights and input")
    geometry = MosaicGeometry(layout, *scale.shape)
    minimum, maximum = float(scale.min()), float(scale.max())
    peak = (1 << BIT_DEPTH[layout]) - 1
    span = maximum - minimum
    normalised = (scale.astype(np.float64) - minimum) / span if span else np.zeros(scale.shape)
    channels = np.rint(normalised * peak).astype(np.uint16)
    return Mosaic(_lay_out(channels, geometry), geometry, minimum, maximum)


def unpack_scale(mosaic: Mosaic) -> Tensor:
    """The scale (1, C, h, w) float32 that a mosaic shows, exact to half a quantisation step."""
    geometry = mosaic.geometry
    peak = (1 << mosaic.picture.bit_depth) - 1
    channels = _collect(mosaic.picture, geometry).astype(np.float64) / peak
    scale = mosaic.minimum + channels * (mosaic.maximum - mosaic.minimum)
    return torch.from_numpy(scale.astype(np.float32))[None]


def _lay_out(channels: np.ndarray, geometry: MosaicGeometry) -> Picture:
    per_tile = CHANNELS_PER_TILE[geometry.layout]
    grid = (geometry.rows, geometry.columns)
    fill = int(channels.sum(dtype=np.int64)) // channels.size
    padded = np.full((grid[0] * grid[1] * per_tile, *channels.shape[1:]), fill, np.uint16)
    padded[: len(channels)] = channels
    tiles = padded.reshape(*grid, per_tile, geometry.height, geometry.width)
    planes = tiles.transpose(2, 0, 3, 1, 4).reshape(per_tile, geometry.mosaic_height, geometry.mosaic_width)
    return Picture(tuple(np.ascontiguousarray(plane) for plane in planes), geometry.layout, BIT_DEPTH[geometry.layout])


def _collect(picture: Picture, geometry: MosaicGeometry) -> np.ndarray:
    per_tile = CHANNELS_PER_TILE[geometry.layout]
    planes = np.stack(picture.planes).reshape(
        per_tile, geometry.rows, geometry.height, geometry.columns, geometry.width
    )
    tiles = planes.transpose(1, 3, 0, 2, 4).reshape(-1, geometry.height, geometry.width)
    return tiles[: geometry.channels]


def mosaic_layout(codec: PictureCodec) -> str:
    """Three-channel tiles for codecs of RGB pictures, grey ones for codecs of luma and chroma."""
    return "rgb" if codec.layout == "rgb" else "grey"


def encode_scale(codec: PictureCodec, feature: Tensor, point: int) -> bytes:
    """One scale as a stream of its own: a header of 17 bytes and the codec's stream of the mosaic.

    The header holds the layout, the shape, minimum and maximum and a check sum; all of it counts in the rate. A
    constant scale is the header alone.

    Parameters
    ----------
    codec : PictureCodec
        Codes "rgb" pictures of 16 bits, or "grey" ones of 10 bits; see `mosaic_layout`.
    feature : Tensor (1, C, h, w) or (C, h, w)
        The scale.
    point : int
        Operating point of the codec.
    """
    mosaic = pack_scale(feature, mosaic_layout(codec))
    geometry = mosaic.geometry
    shape = (geometry.channels, geometry.height, geometry.width)
    if max(shape) > 0xFFFF:
        raise InputError(f"a scale of shape {shape} is larger than the header can say: use a smaller network input")
    header = HEADER.pack(LAYOUT_TAGS[geometry.layout], *shape, mosaic.minimum, mosaic.maximum)
    payload = b"" if mosaic.minimum == mosaic.maximum else codec.encode(mosaic.picture, point)
    return header + _check_sum(header) + payload


def decode_scale(codec: PictureCodec, stream: bytes) -> Tensor:
    """The scale (1, C, h, w) float32 of a stream that `encode_scale` made.

    Raises
    ------
    BitstreamError
        If the header is cut or damaged, or the codec's stream does not hold a mosaic of that shape.
    """
    geometry, minimum, maximum = read_header(stream)
    payload = stream[HEADER_BYTES:]
    if minimum == maximum:
        if payload:
            raise BitstreamError(f"feature stream: {len(payload)} bytes after a constant scale: encode it again")
        return torch.full((1, geometry.channels, geometry.height, geometry.width), minimum)
    picture = codec.decode(payload)
    expected = (geometry.layout, BIT_DEPTH[geometry.layout], geometry.mosaic_height, geometry.mosaic_width)
    found = (picture.layout, picture.bit_depth, picture.height, picture.width)
    if found != expected:
        raise BitstreamError(f"feature stream: a mosaic {found} where the header says {expected}: encode it again")
    return unpack_scale(Mosaic(picture, geometry, minimum, maximum))


def read_header(stream: bytes) -> tuple[MosaicGeometry, float, float]:
    """Geometry, minimum and maximum of a scale's stream.

    Raises
    ------
    BitstreamError
        If the header is cut, damaged or of something else.
    """
    header = stream[: HEADER.size]
    if len(stream) < HEADER_BYTES or stream[HEADER.size : HEADER_BYTES] != _check_sum(header):
        raise BitstreamError("feature stream: the header is cut or damaged: encode it again")
    tag, channels, height, width, minimum, maximum = HEADER.unpack(header)
    layout = next((name for name, known in LAYOUT_TAGS.items() if known == tag), None)
    if layout is None or 0 in (channels, height, width) or not -math.inf < minimum <= maximum < math.inf:
        raise BitstreamError("feature stream: the header is not one of a feature scale: encode it again")
    return MosaicGeometry(layout, channels, height, width), minimum, maximum


def _check_sum(header: bytes) -> bytes:
    return CHECK.pack(zlib.crc32(header) & 0xFFFF)
