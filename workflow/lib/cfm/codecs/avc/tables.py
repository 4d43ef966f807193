"""Tables of H.264 that the encoder needs: scans, quantisers, and the contexts of intra slices of frames.

Positions in a block are numbered in raster order; a scan lists them in the order in which they are coded.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.block_distortion import NORM4
from cfm.codecs.kernels import numbers

# Block categories (ctxBlockCat, table 9-42).
DC16, AC16, LUMA4, CHROMA_DC, CHROMA_AC, LUMA8 = range(6)

# First contexts of the syntax elements (table 9-34).
MB_TYPE, QP_DELTA, CHROMA_MODE, MODE_IS_PREDICTED, MODE_REST = 3, 60, 64, 68, 69
CBP_LUMA, CBP_CHROMA, CODED_BLOCK, TRANSFORM8 = 73, 77, 85, 399
SIGNIFICANT = np.array([105, 120, 134, 149, 152, 402])
LAST = np.array([166, 181, 195, 210, 213, 417])
LEVEL = np.array([227, 237, 247, 257, 266, 426])
CONTEXTS = 436

# m and n of every context that a frame's intra slice uses, in order: tables 9-12 to 9-33.
_INITIAL = {
    0: """20 -15 2 54 3 74 20 -15 2 54 3 74 -28 127 -23 104 -6 53 -1 54 7 51""",
    60: """0 41 0 63 0 63 0 63 -9 83 4 86 0 97 -7 72 13 41 3 62
    0 11 1 55 0 69 -17 127 -13 102 0 82 -7 74 -21 107 -27 127 -31 127 -24 127 -18 95 -27 127 -21 114 -30 127 -17 123
    -12 115 -16 122 -11 115 -12 63 -2 68 -15 84 -13 104 -3 70 -8 93 -10 90 -30 127 -1 74 -6 97 -7 91 -20 127 -4 56
    -5 82 -7 76 -22 125
    -7 93 -11 87 -3 77 -5 71 -4 63 -4 68 -12 84 -7 62 -7 65 8 61 5 56 -2 66 1 64 0 61 -2 78 1 50 7 52 10 35 0 44 11 38
    1 45 0 46 5 44 31 17 1 51 7 50 28 19 16 33 14 62 -13 108 -15 100 -13 101 -13 91 -12 94 -10 88 -16 84 -10 86 -7 83
    -13 87 -19 94 1 70 0 72 -5 74 18 59 -8 102 -15 100 0 95 -4 75 2 72 -11 75 -3 71 15 46 -13 69 0 62 0 65 21 37
    -15 72 9 57 16 54 0 62 12 72
    24 0 15 9 8 25 13 18 15 9 13 19 10 37 12 18 6 29 20 33 15 30 4 45 1 58 0 62 7 61 12 38 11 45 15 39 11 42 13 44
    16 45 12 41 10 49 30 34 18 42 10 55 17 51 17 46 0 89 26 -19 22 -17 26 -17 30 -25 28 -20 33 -23 37 -27 33 -23
    40 -28 38 -17 33 -11 40 -15 41 -6 38 1 41 17 30 -6 27 3 26 22 37 -16 35 -4 38 -8 38 -3 37 3 38 5 42 0 35 16 39 22
    14 48 27 37 21 60 12 68 2 97
    -3 71 -6 42 -5 50 -3 54 -2 62 0 58 1 63 -2 72 -1 74 -9 91 -5 67 -5 27 -3 39 -2 44 0 46 -16 64 -8 68 -10 78 -6 77
    -10 86 -12 92 -15 55 -10 60 -6 62 -4 65 -12 73 -8 76 -7 80 -9 88 -17 110 -11 97 -20 84 -11 79 -6 73 -4 74 -13 86
    -13 96 -11 97 -19 117 -8 78 -5 33 -4 48 -2 53 -3 62 -13 71 -10 79 -12 86 -13 90 -14 97""",
    399: """31 21 31 31 25 50 -17 120 -20 112 -18 114 -11 85 -15 92 -14 89 -26 71 -15 81 -14 80 0 68 -14 70 -24 56
    -23 68 -24 50 -11 74 23 -13 26 -13 40 -15 49 -14 44 3 45 6 44 34 33 54 19 82 -3 75 -1 23 1 34 1 43 0 54
    -2 55 0 61 1 64 0 68 -9 92""",
}


def _context_parameters() -> np.ndarray:
    """(CONTEXTS, 2): m and n; zeros where a frame's intra slice uses no context."""
    table = np.zeros((CONTEXTS, 2), np.int64)
    for first, text in _INITIAL.items():
        values = numbers(text).reshape(-1, 2)
        table[first : first + len(values)] = values
    return table


CONTEXT_PARAMETERS = _context_parameters()


def initial_states(qp: int) -> np.ndarray:
    """States of all contexts at the begin of a slice (H.264 9.3.1.1); see `cfm.codecs.cabac`."""
    slope, offset = CONTEXT_PARAMETERS.T
    before = np.clip(((slope * qp) >> 4) + offset, 1, 126)
    likelier = before > 63
    return np.where(likelier, 2 * (before - 64) + 1, 2 * (63 - before)).astype(np.uint8)


# Contexts of the significance and the last flags of an 8x8 block by scan position (table 9-43, frames).
SIGNIFICANT8 = numbers(
    """0 1 2 3 4 5 5 4 4 3 3 4 4 4 5 5 4 4 4 4 3 3 6 7 7 7 8 9 10 9 8 7 7 6 11 12 13 11 6 7 8 9 14 10 9 8 6 11 12
    13 11 6 9 14 10 9 11 12 13 11 14 10 12 12"""
)
LAST8 = np.repeat([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 15, 16, 8, 8, 4, 4, 4, 4])


def zigzag(side: int) -> np.ndarray:
    """Raster positions of a square block along the zigzag scan of frames."""
    order = sorted(
        ((row + column, row if (row + column) % 2 else column, row, column))
        for row in range(side)
        for column in range(side)
    )
    return np.array([row * side + column for _, _, row, column in order])


ZIGZAG4, ZIGZAG8 = zigzag(4), zigzag(8)

# Blocks of a macroblock in coding order: their column and row in units of 4 samples.
BLOCK_X = np.array([0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3])
BLOCK_Y = np.array([0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3])

# normAdjust4x4 and normAdjust8x8 (8.5.9): scales of the dequantiser for QP % 6, by class of position.
_SCALE4 = [(10, 16, 13), (11, 18, 14), (13, 20, 16), (14, 23, 18), (16, 25, 20), (18, 29, 23)]
_SCALE8 = [
    (20, 18, 32, 19, 25, 24),
    (22, 19, 35, 21, 28, 26),
    (26, 23, 42, 24, 33, 31),
    (28, 25, 45, 26, 35, 33),
    (32, 28, 51, 30, 40, 38),
    (36, 32, 58, 34, 46, 43),
]


def _class4(row: int, column: int) -> int:
    return [0, 2, 1][row % 2 + column % 2]


def _class8(row: int, column: int) -> int:
    odd = row % 2 + column % 2
    if odd == 2:
        return 1
    if odd == 1:
        return 3 if row % 4 == 0 or column % 4 == 0 else 5
    halves = (row % 4 == 2) + (column % 4 == 2)
    return [0, 4, 2][halves]


SCALE4 = np.array([[scale[_class4(*divmod(k, 4))] for k in range(16)] for scale in _SCALE4])
SCALE8 = np.array([[scale[_class8(*divmod(k, 8))] for k in range(64)] for scale in _SCALE8])

# Squared norms of the forward 8x8 transform's basis functions: they make coefficients orthonormal.
_NORM8 = np.array([8, 578 / 64, 5, 578 / 64, 8, 578 / 64, 5, 578 / 64])
NORM8 = np.outer(_NORM8, _NORM8).ravel()

# Levels that a coefficient of 1 amounts to, for QP % 6; half of it with every 6 QPs. The 4x4 inverse has a basis of its
# own, half of the forward one's in the odd rows; products of both norms are 4 and 5.
_GAIN4 = np.outer([4, 5, 4, 5], [4, 5, 4, 5]).ravel()
LEVEL4, LEVEL8 = 64 / (SCALE4 * _GAIN4), 256 / (SCALE8 * NORM8)

# Root of the squared error in samples that an error of one level makes, for QP % 6; twice it with every 6 QPs.
STEP4, STEP8 = 1 / (LEVEL4 * np.sqrt(NORM4)), 1 / (LEVEL8 * np.sqrt(NORM8))

# QP of chroma by that of luma with the offset added (table 8-15).
CHROMA_QP = np.array(
    [*range(30), 29, 30, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 37, 37, 37, 38, 38, 38, 39, 39, 39, 39]
)

# coded_block_pattern of intra macroblocks with 4x4 or 8x8 prediction by codeNum (table 9-4), for CAVLC.
CBP_OF_CODE = numbers(
    """47 31 15 0 23 27 29 30 7 11 13 14 39 43 45 46 16 3 5 10 12 19 21 26 28 35 37 42 44 1 2 4 8 17 18 20 24 6 9
    22 25 32 33 34 36 40 38 41"""
)
CODE_OF_CBP = np.argsort(CBP_OF_CODE)
