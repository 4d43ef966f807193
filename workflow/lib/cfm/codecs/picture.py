"""The picture that codecs take and return: planes of samples with a declared layout and bit depth."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

LAYOUTS = {"yuv420": 3, "grey": 1, "rgb": 3}


@dataclass(frozen=True)
class Picture:
    """Planes of samples.

    Attributes
    ----------
    planes : tuple of arrays (h, w)
        uint8 where `bit_depth` is 8, else uint16. "yuv420": Y (h, w), Cb and Cr (ceil(h/2), ceil(w/2)); "grey": one
        plane; "rgb": R, G, B, all (h, w).
    layout : str
        "yuv420", "grey" or "rgb".
    bit_depth : int
        Bits a sample, 8 to 16.

    Raises
    ------
    ValueError
        If shapes, types or values do not fit the layout and the bit depth.
    """

    planes: tuple[np.ndarray, ...]
    layout: str
    bit_depth: int

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"unknown picture layout {self.layout!r}; known: {', '.join(LAYOUTS)}")
        if not 8 <= self.bit_depth <= 16:
            raise ValueError(f"bit depth {self.bit_depth} is not within 8 to 16")
        if len(self.planes) != LAYOUTS[self.layout]:
            raise ValueError(f"layout {self.layout} has {LAYOUTS[self.layout]} planes, not {len(self.planes)}")
        dtype = np.uint8 if self.bit_depth == 8 else np.uint16
        for plane, shape in zip(self.planes, plane_shapes(self.layout, self.height, self.width), strict=True):
            if plane.ndim != 2 or plane.shape != shape or plane.dtype != dtype or 0 in plane.shape:
                raise ValueError(
                    f"a plane of shape {plane.shape} and type {plane.dtype} where {shape} of {dtype.__name__} belongs"
                )
            if self.bit_depth not in (8, 16) and int(plane.max()) >> self.bit_depth:
                raise ValueError(f"sample value {int(plane.max())} does not fit {self.bit_depth} bits")

    @property
    def height(self) -> int:
        """Rows of the first plane."""
        return self.planes[0].shape[0]

    @property
    def width(self) -> int:
        """Columns of the first plane."""
        return self.planes[0].shape[1]

    @property
    def pixels(self) -> int:
        """Samples of the first plane: the divisor of a rate in bits per pixel."""
        return self.height * self.width


def plane_shapes(layout: str, height: int, width: int) -> list[tuple[int, int]]:
    """Shapes (rows, columns) of the planes of a picture of `height` x `width` pixels."""
    full, half = (height, width), ((height + 1) // 2, (width + 1) // 2)
    return {"yuv420": [full, half, half], "grey": [full], "rgb": [full] * 3}[layout]


def picture_digest(picture: Picture) -> str:
    """SHA-256 of a picture's geometry and samples, 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{picture.layout} {picture.bit_depth} {picture.height} {picture.width}".encode())
    for plane in picture.planes:
        digest.update(np.ascontiguousarray(plane).tobytes())
    return digest.hexdigest()
