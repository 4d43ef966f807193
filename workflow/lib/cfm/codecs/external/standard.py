"""What the standard codecs share: padding, the stream's header, checks of what a decoder gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from cfm.codecs.container import ExternalStream, read_external, write_external
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.picture import Picture, plane_shapes
from cfm.errors import BitstreamError, ConfigurationError, InputError


class StandardCodec(ABC):
    """An intra encoder of a standard, with the decoder that PyAV ships; a point is a QP.

    Parameters
    ----------
    preset : str
        Speed preset, by the encoder's own names; empty for the slowest that is usual in comparisons.

    Raises
    ------
    ConfigurationError
        If the encoder knows no such preset.
    """

    name: ClassVar[str]
    decoder: ClassVar[str]
    presets: ClassVar[tuple[str, ...]]
    default_preset: ClassVar[str]
    layout: ClassVar[str] = "yuv420"
    """Layout that pictures are converted to for this codec; some code "grey" ones too."""

    formats: ClassVar[Mapping[tuple[str, int], str]]
    """Pixel format, by the names that FFmpeg has for them, of every layout and bit depth that is coded."""

    largest_qp: ClassVar[int] = 51
    alignment: ClassVar[int] = 8
    least_side: ClassVar[int] = 16

    def __init__(self, preset: str = ""):
        self.preset = preset or self.default_preset
        if self.preset not in self.presets:
            raise ConfigurationError(f"{self.name} has no preset {preset!r}; known: {', '.join(self.presets)}")

    @property
    def points(self) -> tuple[int, ...]:
        """The QPs that can be asked for."""
        return tuple(range(self.largest_qp + 1))

    def warm_up(self) -> None:
        """Code a small picture: an encoder that cannot be run is found now."""
        planes = tuple(np.zeros(shape, np.uint8) for shape in plane_shapes(self.layout, 16, 16))
        self.encode(Picture(planes, self.layout, 8), self.largest_qp)

    def encode(self, picture: Picture, point: int, **guidance: object) -> bytes:
        """Code a picture as one intra frame.

        Parameters
        ----------
        picture : Picture
            Of a layout and bit depth in `formats`; continued by replication to a multiple of `alignment`.
        point : int
            The QP of the frame.

        Returns
        -------
        bytes
            Our header, the Annex B stream, a checksum; all of it counts.

        Raises
        ------
        ConfigurationError, InputError
            If the QP is out of range, guidance is given, or the picture's form is not coded.
        """
        if guidance:
            raise ConfigurationError(f"{self.name} takes no guidance, but got {', '.join(sorted(guidance))}")
        if point not in self.points:
            raise ConfigurationError(f"{self.name} has QPs 0 to {self.largest_qp}, not {point}")
        pixel_format = self.formats.get((picture.layout, picture.bit_depth))
        if pixel_format is None:
            known = ", ".join(f"{depth}-bit {layout}" for layout, depth in self.formats)
            raise InputError(f"{self.name} codes {known} pictures, not {picture.bit_depth}-bit {picture.layout}")
        payload = self._encode_frame(self._padded(picture), point, pixel_format)
        if not payload:
            raise InputError(f"{self.name} gave no stream for a picture of {picture.width}x{picture.height}")
        return write_external(
            ExternalStream(self.name, picture.layout, picture.bit_depth, picture.height, picture.width, payload)
        )

    def decode(self, stream: bytes) -> Picture:
        """Decode a stream of this codec.

        Raises
        ------
        BitstreamError
            If the stream is damaged, of another codec, or decodes to another size or format than its header says.
        """
        parsed = read_external(stream)
        if parsed.codec != self.name:
            raise BitstreamError(f"a stream of {parsed.codec}, not of {self.name}; name the codec that made it")
        pixel_format = self.formats.get((parsed.layout, parsed.bit_depth))
        if pixel_format is None:
            raise BitstreamError(f"{self.name} makes no {parsed.bit_depth}-bit {parsed.layout} streams")
        planes = decode_annex_b(parsed.payload, self.decoder, pixel_format)
        expected = self._padded_size(parsed.height, parsed.width)
        if planes[0].shape != expected:
            raise BitstreamError(f"decoded to {planes[0].shape} where the header says {expected}; encode it anew")
        return _cropped(planes, parsed)

    @abstractmethod
    def _encode_frame(self, picture: Picture, qp: int, pixel_format: str) -> bytes:
        """The Annex B stream of a padded picture."""

    def _padded_size(self, height: int, width: int) -> tuple[int, int]:
        return tuple(max(side + -side % self.alignment, self.least_side) for side in (height, width))

    def _padded(self, picture: Picture) -> Picture:
        height, width = self._padded_size(picture.height, picture.width)
        planes = []
        for index, plane in enumerate(picture.planes):
            halved = index and picture.layout == "yuv420"
            size = (height // 2, width // 2) if halved else (height, width)
            missing = [(0, wanted - had) for wanted, had in zip(size, plane.shape, strict=True)]
            planes.append(np.pad(plane, missing, mode="edge"))
        return Picture(tuple(planes), picture.layout, picture.bit_depth)


def _cropped(planes: list[np.ndarray], parsed: ExternalStream) -> Picture:
    sizes = [(parsed.height, parsed.width)]
    if parsed.layout == "yuv420":
        sizes += [((parsed.height + 1) // 2, (parsed.width + 1) // 2)] * 2
    cropped = (plane[:height, :width].copy() for plane, (height, width) in zip(planes, sizes, strict=True))
    return Picture(tuple(cropped), parsed.layout, parsed.bit_depth)
