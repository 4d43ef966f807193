"""Colour conversion: RGB to the coded planes (full-range BT.601 YCbCr 4:2:0) and back.

Both directions use one matrix and range (ITU-T T.871, which JPEG uses too). A chroma sample sits in the centre of its
2x2 block of pixels: it is the block's mean, and is interpolated bilinearly between centres on the way back.
`cfm.data.differentiable_colour` has the way back in torch: jobs that run no network need not load it.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.picture import Picture

RED, GREEN, BLUE = 0.299, 0.587, 0.114
CR_TO_RED = 2 * (1 - RED)
CB_TO_BLUE = 2 * (1 - BLUE)
CR_TO_GREEN = -RED * CR_TO_RED / GREEN
CB_TO_GREEN = -BLUE * CB_TO_BLUE / GREEN


def rgb_to_yuv420(rgb: np.ndarray) -> Picture:
    """Convert a picture to the planes that codecs code.

    Parameters
    ----------
    rgb : array (h, w, 3) of uint8
        Red, green, blue.

    Returns
    -------
    Picture
        Layout "yuv420", 8 bits; the last row or column counts twice in the chroma mean where a side is odd.

    Raises
    ------
    ValueError
        If `rgb` has another shape or type.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"RGB of shape (h, w, 3) and type uint8 expected, not {rgb.shape} {rgb.dtype}")
    red, green, blue = (rgb[..., channel].astype(np.float32) for channel in range(3))
    luma = np.float32(RED) * red + np.float32(GREEN) * green + np.float32(BLUE) * blue
    cb = _mean_2x2(blue - luma) / np.float32(CB_TO_BLUE) + np.float32(128)
    cr = _mean_2x2(red - luma) / np.float32(CR_TO_RED) + np.float32(128)
    return Picture(tuple(_to_bytes(plane) for plane in (luma, cb, cr)), "yuv420", 8)


def yuv420_to_rgb(picture: Picture) -> np.ndarray:
    """Convert decoded planes to a picture, rounded and clipped to 8 bits.

    Parameters
    ----------
    picture : Picture
        Layout "yuv420", 8 bits.

    Returns
    -------
    array (h, w, 3) of uint8

    Raises
    ------
    ValueError
        If the picture has another layout or bit depth.
    """
    if picture.layout != "yuv420" or picture.bit_depth != 8:
        raise ValueError(f"an 8-bit yuv420 picture expected, not {picture.bit_depth}-bit {picture.layout}")
    luma = picture.planes[0].astype(np.float32)
    cb, cr = (_upsample(plane)[: picture.height, : picture.width] - np.float32(128) for plane in picture.planes[1:])
    red = luma + np.float32(CR_TO_RED) * cr
    green = luma + np.float32(CB_TO_GREEN) * cb + np.float32(CR_TO_GREEN) * cr
    blue = luma + np.float32(CB_TO_BLUE) * cb
    return np.stack([_to_bytes(channel) for channel in (red, green, blue)], axis=-1)


def _mean_2x2(plane: np.ndarray) -> np.ndarray:
    """Means of 2x2 blocks, (ceil(h/2), ceil(w/2)); edges are replicated where a side is odd."""
    plane = np.pad(plane, ((0, plane.shape[0] % 2), (0, plane.shape[1] % 2)), mode="edge")
    rows = plane[0::2] + plane[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) / np.float32(4)


def _upsample(plane: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of (h, w) samples at block centres to (2h, 2w) float32 pixels, edges replicated."""
    padded = np.pad(plane.astype(np.float32), 1, mode="edge")
    near, far = np.float32(0.75), np.float32(0.25)
    rows = np.empty((2 * plane.shape[0], padded.shape[1]), np.float32)
    rows[0::2] = near * padded[1:-1] + far * padded[:-2]
    rows[1::2] = near * padded[1:-1] + far * padded[2:]
    doubled = np.empty((rows.shape[0], 2 * plane.shape[1]), np.float32)
    doubled[:, 0::2] = near * rows[:, 1:-1] + far * rows[:, :-2]
    doubled[:, 1::2] = near * rows[:, 1:-1] + far * rows[:, 2:]
    return doubled


def _to_bytes(plane: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(plane), 0, 255).astype(np.uint8)
