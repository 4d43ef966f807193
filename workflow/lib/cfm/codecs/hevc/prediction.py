"""Intra prediction of H.265 8.4.4.2.

The neighbours of a block of n x n samples stand in one array that runs around its corner: entries 2n - 1 .. 0 are the
column to the left, downwards, entry 2n the corner, entries 2n + 1 .. 4n the row above.

Kernels are made for one side each, so that their loops have constant bounds and become vector operations; integers are
cast to 32 bits for the same reason, since sums of them are otherwise of 64.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.hevc.tables import ANGLE, DC, FILTERED, INVERSE_ANGLE, PLANAR, Z_ORDER
from cfm.codecs.kernels import general, inlined, kernel

LARGEST_REFERENCES = 4 * 32 + 1


@inlined
def is_coded(height, width, log2_ctu, y, x, other_y, other_x):
    """Whether the block at (other_y, other_x) precedes the one at (y, x), in luma samples (6.4.1)."""
    if other_y < 0 or other_x < 0 or other_y >= height or other_x >= width:
        return False
    columns = (width + (1 << log2_ctu) - 1) >> log2_ctu
    here = (y >> log2_ctu) * columns + (x >> log2_ctu)
    there = (other_y >> log2_ctu) * columns + (other_x >> log2_ctu)
    if here != there:
        return there < here
    return Z_ORDER[(other_y & 63) >> 2, (other_x & 63) >> 2] < Z_ORDER[(y & 63) >> 2, (x & 63) >> 2]


@general
def gather_references(plane, height, width, log2_ctu, y, x, side, chroma, out):
    """Neighbours of a block, with those that are not there made from others (8.4.4.2.2).

    Parameters
    ----------
    plane : array (H, W)
        Samples as coded.
    height, width : int
        Luma samples of the picture, multiples of 8.
    log2_ctu : int
        Of the side of coding tree blocks.
    y, x, side : int
        The block, in samples of the plane.
    chroma : int
        1 in chroma, whose planes have half the sides, else 0.
    out : array (4 side + 1,) int32
        Written.
    """
    luma_y, luma_x, luma_side = y << chroma, x << chroma, side << chroma
    corner = 2 * side
    below = above = 0
    if x > 0 and is_coded(height, width, log2_ctu, luma_y, luma_x, luma_y + luma_side, luma_x - 1):
        below = min(side, (height >> chroma) - y - side)
    if y > 0 and is_coded(height, width, log2_ctu, luma_y, luma_x, luma_y - 1, luma_x + luma_side):
        above = min(side, (width >> chroma) - x - side)
    if x > 0:
        for i in range(side + below):
            out[corner - 1 - i] = plane[y + i, x - 1]
        for i in range(corner - side - below):
            out[i] = out[corner - side - below]
    if y > 0:
        for i in range(side + above):
            out[corner + 1 + i] = plane[y - 1, x + i]
        for i in range(corner + 1 + side + above, 4 * side + 1):
            out[i] = out[corner + side + above]
    if x > 0 and y > 0:
        out[corner] = plane[y - 1, x - 1]
    elif x > 0:
        for i in range(corner, 4 * side + 1):
            out[i] = out[corner - 1]
    elif y > 0:
        for i in range(corner + 1):
            out[i] = out[corner + 1]
    else:
        for i in range(4 * side + 1):
            out[i] = 128


@general
def filter_references(references, side, strong, out):
    """Smooth neighbours (8.4.4.2.3); strong: whether this is luma, where a block of 32 may be smoothed bilinearly."""
    last = 4 * side
    middle = references[2 * side]
    if strong and side == 32:
        flat_left = abs(references[0] + middle - 2 * references[32]) < 8
        flat_above = abs(references[128] + middle - 2 * references[96]) < 8
        if flat_left and flat_above:
            first, end = references[0], references[128]
            for i in range(64):
                out[i] = ((64 - i) * first + i * middle + 32) >> 6
                out[64 + i] = ((64 - i) * middle + i * end + 32) >> 6
            out[0], out[128] = first, end
            return
    out[0], out[last] = references[0], references[last]
    for i in range(1, last):
        out[i] = np.int32(references[i - 1] + references[i] + references[i] + references[i + 1] + 2) >> 2


def _make_predict(side):
    log2 = side.bit_length() - 1

    @kernel
    def predict_planar(refs, out):
        corner = 2 * side
        above_right, below_left = refs[3 * side + 1], refs[side - 1]
        for y in range(side):
            left = refs[corner - 1 - y]
            for x in range(side):
                across = np.int32((side - 1 - x) * left) + np.int32((x + 1) * above_right)
                down = np.int32((side - 1 - y) * refs[corner + 1 + x]) + np.int32((y + 1) * below_left)
                out[y * side + x] = np.int32(across + down + side) >> (log2 + 1)

    @kernel
    def predict_dc(refs, smooth, out):
        corner, total = 2 * side, side
        for i in range(side):
            total += refs[corner - 1 - i] + refs[corner + 1 + i]
        value = total >> (log2 + 1)
        for i in range(side * side):
            out[i] = value
        if smooth:
            out[0] = (refs[corner - 1] + 2 * value + refs[corner + 1] + 2) >> 2
            for i in range(1, side):
                out[i] = (refs[corner + 1 + i] + 3 * value + 2) >> 2
                out[i * side] = (refs[corner - 1 - i] + 3 * value + 2) >> 2

    @kernel
    def predict_angle(mode, refs, smooth, line, out):
        # A line of references whose entry `side` is the corner; of modes from the left, the block is turned.
        corner, angle = 2 * side, ANGLE[mode]
        upright = mode >= 18
        step = 1 if upright else -1
        if angle < 0:
            for i in range(side + 1):
                line[side + i] = refs[corner + step * i]
            for i in range((side * angle) >> 5, 0):
                line[side + i] = refs[corner - step * ((i * INVERSE_ANGLE[mode] + 128) >> 8)]
        else:
            for i in range(2 * side + 1):
                line[side + i] = refs[corner + step * i]
        for y in range(side):
            whole, part = ((y + 1) * angle) >> 5, np.int32(((y + 1) * angle) & 31)
            first, rest = side + 1 + whole, np.int32(32 - part)
            if upright:
                if part:
                    for x in range(side):
                        value = np.int32(rest * line[first + x]) + np.int32(part * line[first + x + 1])
                        out[y * side + x] = np.int32(value + 16) >> 5
                else:
                    for x in range(side):
                        out[y * side + x] = line[first + x]
            else:
                for x in range(side):
                    value = np.int32(rest * line[first + x]) + np.int32(part * line[first + x + 1])
                    out[x * side + y] = np.int32(value + 16) >> 5
        if angle == 0 and smooth:
            for i in range(side):
                change = (refs[corner - step * (i + 1)] - refs[corner]) >> 1
                place = i * side if upright else i
                out[place] = min(255, max(0, out[place] + change))

    return predict_planar, predict_dc, predict_angle


_PLANAR4, _DC4, _ANGLE4 = _make_predict(4)
_PLANAR8, _DC8, _ANGLE8 = _make_predict(8)
_PLANAR16, _DC16, _ANGLE16 = _make_predict(16)
_PLANAR32, _DC32, _ANGLE32 = _make_predict(32)


@general
def predict(mode, refs, side, smooth, line, out):
    """Predict a block.

    Parameters
    ----------
    mode : int
        0 to 34.
    refs : array int32
        Its neighbours, filtered where the mode wants them so.
    side : int
        4, 8, 16 or 32.
    smooth : bool
        Whether edges are smoothed: in luma of sides below 32 (8.4.4.2.5, 8.4.4.2.6).
    line : array int32
        Overwritten; 3 side + 1 entries or more.
    out : array (side * side,) int32
        Written.
    """
    if side == 4:
        if mode == PLANAR:
            _PLANAR4(refs, out)
        elif mode == DC:
            _DC4(refs, smooth, out)
        else:
            _ANGLE4(mode, refs, smooth, line, out)
    elif side == 8:
        if mode == PLANAR:
            _PLANAR8(refs, out)
        elif mode == DC:
            _DC8(refs, smooth, out)
        else:
            _ANGLE8(mode, refs, smooth, line, out)
    elif side == 16:
        if mode == PLANAR:
            _PLANAR16(refs, out)
        elif mode == DC:
            _DC16(refs, smooth, out)
        else:
            _ANGLE16(mode, refs, smooth, line, out)
    elif mode == PLANAR:
        _PLANAR32(refs, out)
    elif mode == DC:
        _DC32(refs, smooth, out)
    else:
        _ANGLE32(mode, refs, smooth, line, out)


@inlined
def uses_filtered(mode, side, chroma):
    """Whether a mode predicts from filtered neighbours."""
    return chroma == 0 and (
        (side == 8 and FILTERED[3, mode]) or (side == 16 and FILTERED[4, mode]) or (side == 32 and FILTERED[5, mode])
    )
