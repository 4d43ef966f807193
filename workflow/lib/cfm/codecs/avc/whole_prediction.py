"""Intra prediction of whole macroblocks: luma 16x16 and chroma 8x8 (H.264 8.3.3 and 8.3.4)."""

from __future__ import annotations

from cfm.codecs.kernels import kernel

# Modes of 16x16 luma (table 8-4) and of chroma (table 8-5).
VERTICAL16, HORIZONTAL16, DC16_MODE, PLANE16 = range(4)
CHROMA_DC_MODE, CHROMA_HORIZONTAL, CHROMA_VERTICAL, CHROMA_PLANE = range(4)


@kernel
def predict16(mode, plane, y0, x0, out):
    """Predict 16x16 luma samples, (256,) in raster order; False where the mode's neighbours are not there."""
    top, left = y0 > 0, x0 > 0
    if mode == VERTICAL16:
        return top and _copy_row(plane, y0, x0, 16, out)
    if mode == HORIZONTAL16:
        return left and _copy_column(plane, y0, x0, 16, out)
    if mode == PLANE16:
        return top and left and _plane(plane, y0, x0, 16, 5, 6, out)
    total = 0
    if top:
        for i in range(16):
            total += plane[y0 - 1, x0 + i]
    if left:
        for i in range(16):
            total += plane[y0 + i, x0 - 1]
    value = 128
    if top and left:
        value = (total + 16) >> 5
    elif top or left:
        value = (total + 8) >> 4
    for i in range(256):
        out[i] = value
    return True


@kernel
def predict_chroma(mode, plane, y0, x0, out):
    """Predict 8x8 chroma samples, (64,) in raster order; False where the mode's neighbours are not there."""
    top, left = y0 > 0, x0 > 0
    if mode == CHROMA_VERTICAL:
        return top and _copy_row(plane, y0, x0, 8, out)
    if mode == CHROMA_HORIZONTAL:
        return left and _copy_column(plane, y0, x0, 8, out)
    if mode == CHROMA_PLANE:
        return top and left and _plane(plane, y0, x0, 8, 34, 6, out)
    for block in range(4):
        by, bx = 4 * (block >> 1), 4 * (block & 1)
        above = beside = 0
        if top:
            for i in range(4):
                above += plane[y0 - 1, x0 + bx + i]
        if left:
            for i in range(4):
                beside += plane[y0 + by + i, x0 - 1]
        # The blocks off the diagonal look to one side only where they can.
        use_top = top and not (by > 0 and bx == 0 and left)
        use_left = left and not (by == 0 and bx > 0 and top)
        if use_top and use_left:
            value = (above + beside + 4) >> 3
        elif use_top:
            value = (above + 2) >> 2
        elif use_left:
            value = (beside + 2) >> 2
        else:
            value = 128
        for i in range(4):
            for j in range(4):
                out[8 * (by + i) + bx + j] = value
    return True


@kernel
def _copy_row(plane, y0, x0, side, out):
    for y in range(side):
        for x in range(side):
            out[side * y + x] = plane[y0 - 1, x0 + x]
    return True


@kernel
def _copy_column(plane, y0, x0, side, out):
    for y in range(side):
        for x in range(side):
            out[side * y + x] = plane[y0 + y, x0 - 1]
    return True


@kernel
def _plane(plane, y0, x0, side, factor, shift, out):
    half = side // 2
    across = down = 0
    for i in range(1, half + 1):
        across += i * (plane[y0 - 1, x0 + half - 1 + i] - plane[y0 - 1, x0 + half - 1 - i])
        down += i * (plane[y0 + half - 1 + i, x0 - 1] - plane[y0 + half - 1 - i, x0 - 1])
    b, c = (factor * across + 32) >> shift, (factor * down + 32) >> shift
    a = 16 * (plane[y0 + side - 1, x0 - 1] + plane[y0 - 1, x0 + side - 1])
    for y in range(side):
        for x in range(side):
            value = (a + b * (x - half + 1) + c * (y - half + 1) + 16) >> 5
            out[side * y + x] = min(255, max(0, value))
    return True
