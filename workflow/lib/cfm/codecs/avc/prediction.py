"""Intra prediction of H.264 8.3. Blocks are 1-D arrays in raster order; samples are those before deblocking.

The neighbours of a block stand in one array, `edge`, that runs around its corner: for a side of n samples, entries
n - 1 .. 0 are the left column from top to bottom, entry n the corner, entries n + 1 .. 3n the row above and its
continuation to the right.
"""

from __future__ import annotations

from cfm.codecs.kernels import kernel

# Modes of 4x4 and 8x8 blocks (tables 8-2 and 8-3).
VERTICAL, HORIZONTAL, DC, DOWN_LEFT, DOWN_RIGHT, VERTICAL_RIGHT, HORIZONTAL_DOWN, VERTICAL_LEFT, HORIZONTAL_UP = range(
    9
)


@kernel
def gather_edge(plane, y, x, side, has_right, edge):
    """Read the neighbours of the block at (y, x); those beyond the picture are left as they are.

    The row above is continued by its last sample where the samples to its right are not there yet.
    """
    if x > 0:
        for i in range(side):
            edge[side - 1 - i] = plane[y + i, x - 1]
    if y > 0:
        for i in range(side):
            edge[side + 1 + i] = plane[y - 1, x + i]
        for i in range(side):
            edge[2 * side + 1 + i] = plane[y - 1, x + side + i] if has_right else edge[2 * side]
        if x > 0:
            edge[side] = plane[y - 1, x - 1]


@kernel
def filter_edge8(edge, top, left, out):
    """Reference samples of an 8x8 block after their filter (8.3.2.2.1); `top` and `left` tell which are there."""
    if top:
        for i in range(10, 24):
            out[i] = (edge[i - 1] + 2 * edge[i] + edge[i + 1] + 2) >> 2
        out[24] = (edge[23] + 3 * edge[24] + 2) >> 2
        out[9] = (edge[8] + 2 * edge[9] + edge[10] + 2) >> 2 if left else (3 * edge[9] + edge[10] + 2) >> 2
    if left:
        for i in range(1, 7):
            out[i] = (edge[i - 1] + 2 * edge[i] + edge[i + 1] + 2) >> 2
        out[0] = (3 * edge[0] + edge[1] + 2) >> 2
        out[7] = (edge[6] + 2 * edge[7] + edge[8] + 2) >> 2 if top else (edge[6] + 3 * edge[7] + 2) >> 2
    if top and left:
        out[8] = (edge[7] + 2 * edge[8] + edge[9] + 2) >> 2


@kernel
def mode_is_possible(mode, top, left):
    """Whether a mode's neighbours are there."""
    if mode == DC:
        return True
    if mode in (VERTICAL, DOWN_LEFT, VERTICAL_LEFT):
        return top
    if mode in (HORIZONTAL, HORIZONTAL_UP):
        return left
    return top and left


@kernel
def predict_block(mode, edge, side, top, left, out):
    """Predict a 4x4 or 8x8 block, (side * side,), from its neighbours; those of an 8x8 block are filtered before."""
    n = side
    if mode == VERTICAL:
        for y in range(n):
            for x in range(n):
                out[n * y + x] = edge[n + 1 + x]
    elif mode == HORIZONTAL:
        for y in range(n):
            for x in range(n):
                out[n * y + x] = edge[n - 1 - y]
    elif mode == DC:
        total, count = 0, 0
        if top:
            for i in range(n):
                total += edge[n + 1 + i]
            count += n
        if left:
            for i in range(n):
                total += edge[i]
            count += n
        value = (total + count // 2) // count if count else 128
        for i in range(n * n):
            out[i] = value
    elif mode == DOWN_LEFT:
        for y in range(n):
            for x in range(n):
                i = n + 1 + x + y
                ahead = edge[i + 2] if x + y < 2 * n - 2 else edge[i + 1]
                out[n * y + x] = (edge[i] + 2 * edge[i + 1] + ahead + 2) >> 2
    elif mode == DOWN_RIGHT:
        for y in range(n):
            for x in range(n):
                i = n + x - y
                out[n * y + x] = (edge[i - 1] + 2 * edge[i] + edge[i + 1] + 2) >> 2
    elif mode == VERTICAL_RIGHT:
        _predict_vertical_right(edge, n, out)
    elif mode == HORIZONTAL_DOWN:
        _predict_horizontal_down(edge, n, out)
    elif mode == VERTICAL_LEFT:
        for y in range(n):
            for x in range(n):
                i = n + 1 + x + (y >> 1)
                if y & 1:
                    out[n * y + x] = (edge[i] + 2 * edge[i + 1] + edge[i + 2] + 2) >> 2
                else:
                    out[n * y + x] = (edge[i] + edge[i + 1] + 1) >> 1
    else:
        _predict_horizontal_up(edge, n, out)


@kernel
def _predict_vertical_right(edge, n, out):
    for y in range(n):
        for x in range(n):
            along, i = 2 * x - y, n + x - (y >> 1)
            if along >= 0 and along & 1 == 0:
                value = (edge[i] + edge[i + 1] + 1) >> 1
            elif along >= -1:
                value = (edge[i - 1] + 2 * edge[i] + edge[i + 1] + 2) >> 2
            else:
                i = n - y + 2 * x
                value = (edge[i] + 2 * edge[i + 1] + edge[i + 2] + 2) >> 2
            out[n * y + x] = value


@kernel
def _predict_horizontal_down(edge, n, out):
    for y in range(n):
        for x in range(n):
            along, i = 2 * y - x, n - y + (x >> 1)
            if along >= 0 and along & 1 == 0:
                value = (edge[i] + edge[i - 1] + 1) >> 1
            elif along >= -1:
                value = (edge[i + 1] + 2 * edge[i] + edge[i - 1] + 2) >> 2
            else:
                i = n + x - 2 * y
                value = (edge[i] + 2 * edge[i - 1] + edge[i - 2] + 2) >> 2
            out[n * y + x] = value


@kernel
def _predict_horizontal_up(edge, n, out):
    for y in range(n):
        for x in range(n):
            along, i = x + 2 * y, n - 1 - y - (x >> 1)
            if along > 2 * n - 3:
                value = edge[0]
            elif along == 2 * n - 3:
                value = (edge[1] + 3 * edge[0] + 2) >> 2
            elif along & 1 == 0:
                value = (edge[i] + edge[i - 1] + 1) >> 1
            else:
                value = (edge[i] + 2 * edge[i - 1] + edge[i - 2] + 2) >> 2
            out[n * y + x] = value
