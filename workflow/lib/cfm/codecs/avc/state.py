"""What the kernels share: the picture as coded so far, and a macroblock as it may be coded.

Maps have one row above and one column to the left of the picture more, which hold what the standard infers there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cfm.codecs.distortion import DECISIONS
from cfm.codecs.kernels import allocating

I4, I8, I16 = range(3)  # kinds of macroblocks: 4x4 or 8x8 blocks with modes of their own, or 16x16
KIND, MODE16, CHROMA, CBP, QP, HEAD = range(6)  # entries of a macroblock's head
PREVIOUS_QP, PREVIOUS_DELTA, SLICE = range(3)  # entries of the slice's state


class Frame(NamedTuple):
    """A picture of h x w macroblocks while it is coded.

    Attributes
    ----------
    source, coded : tuples of arrays (16h, 16w), (8h, 8w), (8h, 8w) int32
        Y, Cb and Cr: the samples, and those that the decoder will have before deblocking.
    modes : array (4h + 1, 4w + 1) int8
        Prediction modes of 4x4 blocks, DC for 16x16 macroblocks; -1 outside.
    flags : array (4h + 1, 4w + 1) int8
        coded_block_flag of 4x4 luma blocks.
    chroma_flags : array (2, 2h + 1, 2w + 1) int8
        Those of the AC blocks of Cb and Cr.
    counts : array (4h + 1, 4w + 1) int8
        Numbers of levels of 4x4 luma blocks, for CAVLC; -1 outside.
    chroma_counts : array (2, 2h + 1, 2w + 1) int8
        Those of the AC blocks of Cb and Cr.
    dc_flags : array (3, h + 1, w + 1) int8
        Those of the DC blocks of Y, Cb and Cr.
    kinds, cbps, chroma_modes : arrays (h + 1, w + 1) int8
        Kind (-1 outside), coded_block_pattern and chroma mode of macroblocks.
    slice_state : array (2,) int64
        QP of the macroblock before, and whether its mb_qp_delta was other than 0.
    shown : array (16h, 16w) int32
        Luma after deblocking, as far as the macroblocks so far settle it.
    qps : array (h, w) int64
        QPs of luma.
    luma_weights : array (4, h, w)
        Mean distortion of a squared error of 1 in luma, by decision.
    """

    source: tuple[np.ndarray, np.ndarray, np.ndarray]
    coded: tuple[np.ndarray, np.ndarray, np.ndarray]
    modes: np.ndarray
    flags: np.ndarray
    chroma_flags: np.ndarray
    counts: np.ndarray
    chroma_counts: np.ndarray
    dc_flags: np.ndarray
    kinds: np.ndarray
    cbps: np.ndarray
    chroma_modes: np.ndarray
    slice_state: np.ndarray
    shown: np.ndarray
    qps: np.ndarray
    luma_weights: np.ndarray


class Macroblock(NamedTuple):
    """One way to code a macroblock.

    Attributes
    ----------
    head : array (HEAD,) int64
        Kind, 16x16 mode, chroma mode, coded_block_pattern and QP.
    modes : array (16,) int64
        Modes of the 4x4 blocks in coding order; four alike for an 8x8 block.
    levels : array (16, 16) int32
        Levels of the 4x4 blocks in coding order, in scan order; those of `I16` begin with the first AC level.
    levels8 : array (4, 64) int32
        Levels of the 8x8 blocks.
    dc : array (16,) int32
        DC levels of `I16`.
    chroma_dc : array (2, 4) int32
        DC levels of Cb and Cr.
    chroma_ac : array (2, 4, 16) int32
        AC levels of Cb and Cr, 15 a block.
    luma : array (16, 16) int32
        Samples as decoded.
    chroma : array (2, 8, 8) int32
        Samples as decoded.
    """

    head: np.ndarray
    modes: np.ndarray
    levels: np.ndarray
    levels8: np.ndarray
    dc: np.ndarray
    chroma_dc: np.ndarray
    chroma_ac: np.ndarray
    luma: np.ndarray
    chroma: np.ndarray


def new_frame(planes: tuple[np.ndarray, np.ndarray, np.ndarray], qp: int) -> Frame:
    """A frame of planes whose sides are multiples of 16 (luma) and 8 (chroma), before its first macroblock."""
    rows, columns = planes[0].shape[0] // 16, planes[0].shape[1] // 16

    def bordered(scale: int, outside: int, count: int = 0) -> np.ndarray:
        shape = (scale * rows + 1, scale * columns + 1)
        return np.full((count, *shape) if count else shape, outside, np.int8)

    return Frame(
        source=tuple(np.ascontiguousarray(plane, np.int32) for plane in planes),
        coded=tuple(np.zeros(plane.shape, np.int32) for plane in planes),
        modes=bordered(4, -1),
        flags=bordered(4, 1),
        chroma_flags=bordered(2, 1, 2),
        counts=bordered(4, -1),
        chroma_counts=bordered(2, -1, 2),
        dc_flags=bordered(1, 1, 3),
        kinds=bordered(1, -1),
        cbps=bordered(1, 15),
        chroma_modes=bordered(1, 0),
        slice_state=np.array([qp, 0], np.int64),
        shown=np.zeros(planes[0].shape, np.int32),
        qps=np.zeros((rows, columns), np.int64),
        luma_weights=np.zeros((len(DECISIONS), rows, columns)),
    )


def new_macroblock() -> Macroblock:
    """A macroblock with nothing in it."""
    return Macroblock(
        head=np.zeros(HEAD, np.int64),
        modes=np.zeros(16, np.int64),
        levels=np.zeros((16, 16), np.int32),
        levels8=np.zeros((4, 64), np.int32),
        dc=np.zeros(16, np.int32),
        chroma_dc=np.zeros((2, 4), np.int32),
        chroma_ac=np.zeros((2, 4, 16), np.int32),
        luma=np.zeros((16, 16), np.int32),
        chroma=np.zeros((2, 8, 8), np.int32),
    )


@allocating
def copy_macroblock(source, target):
    """Make a macroblock the same as another."""
    target.head[:] = source.head
    target.modes[:] = source.modes
    target.levels[:] = source.levels
    target.levels8[:] = source.levels8
    target.dc[:] = source.dc
    target.chroma_dc[:] = source.chroma_dc
    target.chroma_ac[:] = source.chroma_ac
    target.luma[:] = source.luma
    target.chroma[:] = source.chroma
