"""What our intra encoders take and return: planes extended to whole blocks, a stream and what it decodes to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class EncodedPicture(NamedTuple):
    """A stream and what the encoder knows of it.

    Attributes
    ----------
    stream : bytes
        Annex B.
    planes : tuple of arrays uint8
        What a decoder makes of it without deblocking, of the coded size: whole blocks.
    shown_luma : array uint8 or None
        Luma as a decoder shows it, of the coded size; None where the encoder does not filter it.
    counted_bits : float
        Bits of the slice's data as the decisions counted them.
    qps : array (ceil(h / 16), ceil(w / 16)) int8
        QP of each macroblock; of the last coding unit of each group of 16x16 in HEVC.
    sides : array (ceil(h / 4), ceil(w / 4)) uint8
        Side of the luma prediction block that each 4x4 block of samples lies in: 4, 8, 16, 32 or 64.
    bits : array (ceil(h / 16), ceil(w / 16)) float32
        Where `counted_bits` are: those of each macroblock; in HEVC those of a coding tree block, spread evenly over its
        groups of 16x16.
    """

    stream: bytes
    planes: tuple[np.ndarray, np.ndarray, np.ndarray]
    shown_luma: np.ndarray | None
    counted_bits: float
    qps: np.ndarray
    sides: np.ndarray
    bits: np.ndarray


def padded(plane: np.ndarray, multiple: int) -> np.ndarray:
    """A plane extended to multiples of a side by its last row and column."""
    height, width = plane.shape
    return np.pad(plane, ((0, -height % multiple), (0, -width % multiple)), mode="edge")
