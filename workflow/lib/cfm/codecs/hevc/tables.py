"""Constants of H.265: transforms, scans, intra angles, quantiser, and contexts with their initial states."""

from __future__ import annotations

import numpy as np

from cfm.codecs.kernels import numbers

SIZES = (4, 8, 16, 32)  # of transform blocks
PLANAR, DC, HORIZONTAL, VERTICAL, DIAGONAL = 0, 1, 10, 26, 34
MODES = 35
DERIVED = 4  # intra_chroma_pred_mode of the luma mode
CHROMA_CHOICES = numbers("0 26 10 1")  # modes of the other values (table 8-2)

# The cosines of 0, pi / 64, ..., 32 pi / 64 as the transforms have them (8.6.4.2).
_COSINES = numbers("64 90 90 90 89 88 87 85 83 82 80 78 75 73 70 67 64 61 57 54 50 46 43 38 36 31 25 22 18 13 9 4 0")
SINE4 = numbers("29 55 74 84 74 74 0 -74 84 -29 -74 55 55 -84 74 -29").reshape(4, 4).astype(np.int32)


def _cosine32() -> np.ndarray:
    """The 32-point transform: rows are basis functions."""
    angles = np.outer(np.arange(32), 2 * np.arange(32) + 1) % 128
    angles = np.minimum(angles, 128 - angles)
    return np.where(angles <= 32, _COSINES[np.minimum(angles, 32)], -_COSINES[np.clip(64 - angles, 0, 32)])


COSINE32 = _cosine32().astype(np.int32)


def cosine(side: int) -> np.ndarray:
    """The transform of a side of 4, 8, 16 or 32 samples, int32 (side, side)."""
    return np.ascontiguousarray(COSINE32[:: 32 // side, :side])


def orthonormal(side: int, sine: bool = False) -> np.ndarray:
    """The same with rows of length 1, float64."""
    rows = (SINE4 if sine else cosine(side)).astype(float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


LEVEL_SCALE = numbers("40 45 51 57 64 72")
LARGEST_QP = 51
# QpC by qPi (table 8-10).
CHROMA_QP = np.concatenate([np.arange(30), numbers("29 30 31 32 33 33 34 34 35 35 36 36 37 37"), np.arange(38, 52)])

# intraPredAngle by mode, and invAngle (tables 8-5 and 8-6).
ANGLE = numbers(
    """0 0 32 26 21 17 13 9 5 2 0 -2 -5 -9 -13 -17 -21 -26 -32 -26 -21 -17 -13 -9 -5 -2 0 2 5 9 13 17 21 26 32"""
)
INVERSE_ANGLE = np.zeros(MODES, np.int64)
INVERSE_ANGLE[11:26] = numbers("-4096 -1638 -910 -630 -482 -390 -315 -256 -315 -390 -482 -630 -910 -1638 -4096")
# Whether references are filtered before prediction, by log2 of the side and mode (8.4.4.2.3).
_DISTANCE = np.minimum(abs(np.arange(MODES) - VERTICAL), abs(np.arange(MODES) - HORIZONTAL))
FILTERED = np.zeros((6, MODES), np.bool_)
for _log2, _least in ((3, 7), (4, 1), (5, 0)):
    FILTERED[_log2] = _least < _DISTANCE
FILTERED[:, DC] = False

# Scans: diagonal, horizontal, vertical (6.5.3 to 6.5.5).
UP_RIGHT, ACROSS, DOWN = range(3)


def _scan(side: int, kind: int) -> list[tuple[int, int]]:
    """Places (y, x) of a square in scan order."""
    if kind == ACROSS:
        return [(y, x) for y in range(side) for x in range(side)]
    if kind == DOWN:
        return [(y, x) for x in range(side) for y in range(side)]
    return [(total - x, x) for total in range(2 * side - 1) for x in range(side) if 0 <= total - x < side]


# Of a group of 16 levels: (scan, position, (y, x)). Of the groups: (log2, scan, group, (y, x)), log2 from 2.
INSIDE = np.array([_scan(4, kind) for kind in range(3)], np.int64)
GROUPS = np.zeros((6, 3, 64, 2), np.int64)
for _log2 in range(2, 6):
    for _kind in range(3):
        _places = _scan(1 << (_log2 - 2), _kind)
        GROUPS[_log2, _kind, : len(_places)] = _places
# Scan by luma mode, where it depends on it (7.4.9.11).
SCAN_OF_MODE = np.zeros(MODES, np.int64)
SCAN_OF_MODE[6:15] = DOWN
SCAN_OF_MODE[22:31] = ACROSS

# Z-order of the 4x4 units of a coding tree block of 64, by (row, column), and its inverse.
_SPREAD = numbers("0 1 4 5 16 17 20 21 64 65 68 69 80 81 84 85")
Z_ORDER = 2 * _SPREAD[:, None] + _SPREAD[None, :]
# Where the units are, in luma samples.
UNIT_Y, UNIT_X = (4 * places for places in np.unravel_index(np.argsort(Z_ORDER, axis=None), Z_ORDER.shape))

# Contexts: where each syntax element's begin, and the values their states are made from for intra slices (9.3.2.2).
SPLIT_CU, PART_MODE, MODE_IS_LIKELY, CHROMA_MODE, SPLIT_TRANSFORM, CBF_LUMA, CBF_CHROMA = 0, 3, 4, 5, 6, 9, 11
QP_DELTA, SKIP, LAST_X, LAST_Y, GROUP, SIGNIFICANT, GREATER1, GREATER2 = 15, 17, 19, 37, 55, 59, 101, 125
_LAST = "110 110 124 125 140 153 125 127 140 109 111 143 127 111 79 108 123 63 "
_INITIAL = numbers(
    "139 141 157 184 184 63 153 138 138 111 141 94 138 182 154 154 154 139 139 "
    + 2 * _LAST
    + """91 171 134 141
    111 111 125 110 110 94 124 108 124 107 125 141 179 153 125 107 125 141 179 153 125 107 125 141 179 153 125
    140 139 182 182 152 136 152 136 153 136 139 111 136 139 111
    140 92 137 138 140 152 138 139 153 74 149 92 139 107 122 152 140 179 166 182 140 227 122 197
    138 153 136 167 152 152"""
)
CONTEXTS = len(_INITIAL)


def initial_states(qp: int) -> np.ndarray:
    """States of all contexts at the begin of an intra slice."""
    slope, offset = (_INITIAL >> 4) * 5 - 45, ((_INITIAL & 15) << 3) - 16
    before = np.clip(((slope * qp) >> 4) + offset, 1, 126)
    return np.where(before <= 63, 2 * (63 - before), 2 * (before - 64) + 1).astype(np.uint8)


# Context of a significance flag in its group (9.3.4.2.5): by which neighbouring groups are coded (1 right, 2 below),
# and place; and in a 4x4 block by place.
NEAR = np.zeros((4, 4, 4), np.int64)
for _y in range(4):
    for _x in range(4):
        NEAR[0, _y, _x] = 2 if _x + _y == 0 else 1 if _x + _y < 3 else 0
        NEAR[1, _y, _x] = 2 if _y == 0 else 1 if _y == 1 else 0
        NEAR[2, _y, _x] = 2 if _x == 0 else 1 if _x == 1 else 0
        NEAR[3, _y, _x] = 2
IN_SMALLEST = numbers("0 1 4 5 2 3 4 5 6 6 8 8 7 7 8 8").reshape(4, 4)

# Prefix of a last position, and the first position and the count of suffix bits of a prefix (9.3.3.1, 7.4.9.11).
LAST_PREFIX = numbers("0 1 2 3 4 4 5 5 6 6 6 6 7 7 7 7 8 8 8 8 8 8 8 8 9 9 9 9 9 9 9 9")
PREFIX_FIRST = numbers("0 1 2 3 4 6 8 12 16 24")
PREFIX_BITS = numbers("0 0 0 0 1 1 2 2 3 3")
