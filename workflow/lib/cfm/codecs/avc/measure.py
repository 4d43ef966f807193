"""The replaceable distortion in a macroblock; see `cfm.codecs.distortion`.

Before a macroblock is searched, its share of the data is brought into the small arrays of a `Local`, weights multiplied
in, so that the innermost loops read little and in order. Blocks of a plane are numbered in raster order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cfm.codecs.avc.tables import STEP4, STEP8, ZIGZAG4, ZIGZAG8
from cfm.codecs.block_distortion import LANES, NORM4, add_pixels, add_spread, filled_up, forward4
from cfm.codecs.kernels import allocating, kernel
from cfm.codecs.metric import LEVELS, ROWS4, ROWS8, Metric, shares_of, sse_by_decision

SHARES8 = shares_of(ROWS8)
SQUARES4, SQUARES8 = (np.ascontiguousarray(np.square(rows).T) for rows in (ROWS4, ROWS8))


class Local(NamedTuple):
    """The distortion in one macroblock.

    Attributes
    ----------
    uses : array (4,) bool
        Which decisions use the data.
    flags : array (4, FLAGS) bool
        See `cfm.codecs.block_distortion`; by decision.
    sse : array (4, 3)
        Weight of the squared error, by decision and plane.
    frequency : array (3, 16)
        Weights of the integer transform's coefficients.
    samples : array (3, 16, 16)
        Weights of the samples of each block.
    rows : array (3, 16, 16, N)
        Columns whose product with the error of a block counts squared: sketches, then factors, both filled up with
        zeros to multiples of `LANES`.
    diagonal4, diagonal8 : arrays (3, 16, 16) and (4, 64)
        Distortion of an error of 1 in an orthonormal coefficient of a block, of 4x4 in all planes, of 8x8 in luma.
    plain4 : array (3, 16, 16)
        The same without the data.
    level4, level8 : arrays (3, 16, 16) and (4, 64)
        The same for the choice of levels.
    half : array (4, 8, N)
        For `add_squares`.
    """

    uses: np.ndarray
    flags: np.ndarray
    sse: np.ndarray
    frequency: np.ndarray
    samples: np.ndarray
    rows: np.ndarray
    diagonal4: np.ndarray
    diagonal8: np.ndarray
    plain4: np.ndarray
    level4: np.ndarray
    level8: np.ndarray
    half: np.ndarray


def new_local(metric: Metric) -> Local:
    """A local distortion of the size that a metric needs."""
    count = filled_up(len(metric.sketches[0])) + filled_up(metric.factors.shape[1])
    has_samples = metric.has_samples or metric.has_pixels
    diagonal4, plain4 = (np.ones((3, 16, 16)) * sse[:, None, None] for sse in (metric.sse, metric.plain_sse))
    diagonal8, plain8 = (np.ones((4, 64)) * sse[0] for sse in (metric.sse, metric.plain_sse))
    return Local(
        uses=metric.uses,
        flags=np.array(
            [
                (metric.plain or not used, metric.has_frequency, has_samples, metric.varies, metric.has_pixels)
                for used in metric.uses
            ]
        ),
        sse=sse_by_decision(metric),
        frequency=np.zeros((3, 16)),
        samples=np.zeros((3, 16, 16)),
        rows=np.zeros((3, 16, 16, count)),
        diagonal4=diagonal4,
        diagonal8=diagonal8,
        plain4=plain4,
        level4=diagonal4 if metric.uses[LEVELS] else plain4,
        level8=diagonal8 if metric.uses[LEVELS] else plain8,
        half=np.empty((4, 8, count)),
    )


@allocating
def localise(metric, my, mx, local):
    """Bring a metric into its local form for the macroblock at row my and column mx."""
    factors, sketches = metric.factors.shape[1], metric.sketches[0].shape[0]
    used = (sketches + LANES - 1) // LANES * LANES
    values, squares, own, half = np.empty(16), np.empty(16), np.zeros(16), np.empty((8, 4))
    line = np.empty(8)
    frequency_row, frequency_column = (my, mx) if metric.varies else (0, 0)
    for block in range(4):
        for k in range(64):
            local.diagonal8[block, k] = metric.sse[0] + metric.weights[0, my, mx] * metric.diagonal8[0, k]
        if metric.has_pixels:
            y, x = 16 * my + 8 * (block >> 1), 16 * mx + 8 * (block & 1)
            add_pixels(metric.pixels[0], y, x, SQUARES8, 8, line, local.diagonal8[block])
    for plane in range(3):
        side = 4 if plane == 0 else 2
        weight = metric.weights[plane, my, mx]
        root, sketched = np.sqrt(weight), metric.sketches[plane]
        frequency = metric.frequency[plane, frequency_row, frequency_column]
        if metric.varies:
            for k in range(16):
                own[k] = weight * frequency[k]
            if plane == 0:
                for block in range(4):
                    add_spread(own, SHARES8, 8, half, local.diagonal8[block])
        for k in range(16):
            local.frequency[plane, k] = weight * frequency[k] / NORM4[k]
        for block in range(side * side):
            row, column = block // side, block % side
            rows = local.rows[plane, block]
            for factor in range(factors):
                for k in range(16):
                    rows[k, used + factor] = root * metric.factors[plane, factor, k]
            squares[:] = own
            if metric.has_samples or metric.has_pixels:
                for k in range(16):
                    local.samples[plane, block, k] = weight * metric.samples[plane, k]
            if metric.has_pixels:
                top, left, pixels = 4 * (side * my + row), 4 * (side * mx + column), metric.pixels[plane]
                for k in range(16):
                    local.samples[plane, block, k] += pixels[top + (k >> 2), left + (k & 3)]
                add_pixels(pixels, top, left, SQUARES4, 4, line, squares)
            for sketch in range(sketches):
                for k in range(16):
                    y, x = 4 * (side * my + row) + (k >> 2), 4 * (side * mx + column) + (k & 3)
                    values[k] = sketched[sketch, y, x]
                    rows[k, sketch] = values[k]
                forward4(values, values)
                for k in range(16):
                    squares[k] += values[k] * values[k] / NORM4[k]
            for k in range(16):
                local.diagonal4[plane, block, k] = metric.sse[plane] + weight * metric.diagonal4[plane, k] + squares[k]
            if plane == 0 and sketches:
                # Sketches of different 4x4 blocks do not add up before the square.
                diagonal = local.diagonal8[2 * (row >> 1) + (column >> 1)]
                add_squares(rows, used, 4 * (row & 1), 4 * (column & 1), local.half, diagonal)


@kernel
def add_squares(values, count, top, left, half, out):
    """Add the squared 8x8 coefficients of 4x4 blocks, which stand at (top, left) in blocks of zeros, to `out`.

    Parameters
    ----------
    values : array (16, N)
        Samples of N blocks; the first `count`, a multiple of `LANES`, are used.
    top, left : int
        0 or 4.
    half : array (4, 8, N)
        Overwritten.
    out : array (64,)
        Sums of squares.
    """
    for i in range(4):
        for v in range(8):
            w0, w1, w2, w3 = ROWS8[v, left], ROWS8[v, left + 1], ROWS8[v, left + 2], ROWS8[v, left + 3]
            for n in range(count):
                first = values[4 * i, n] * w0 + values[4 * i + 1, n] * w1
                half[i, v, n] = first + (values[4 * i + 2, n] * w2 + values[4 * i + 3, n] * w3)
    for u in range(8):
        w0, w1, w2, w3 = ROWS8[u, top], ROWS8[u, top + 1], ROWS8[u, top + 2], ROWS8[u, top + 3]
        for v in range(8):
            # Sums that do not wait for each other.
            even = odd = 0.0
            for n in range(0, count, 2):
                p = (half[0, v, n] * w0 + half[1, v, n] * w1) + (half[2, v, n] * w2 + half[3, v, n] * w3)
                q = half[0, v, n + 1] * w0 + half[1, v, n + 1] * w1
                q += half[2, v, n + 1] * w2 + half[3, v, n + 1] * w3
                even += p * p
                odd += q * q
            out[8 * u + v] += even + odd


@kernel
def level_weights(diagonal, qp, first, out):
    """Distortion of an error of one level in each coefficient of a 4x4 block, in scan order from entry `first`."""
    doubled = 4.0 ** (qp // 6)
    for k in range(first, 16):
        step = STEP4[qp % 6, ZIGZAG4[k]]
        out[k - first] = step * step * doubled * diagonal[ZIGZAG4[k]]


@kernel
def level_weights8(diagonal, qp, out):
    """Distortion of an error of one level in each coefficient of an 8x8 block, in scan order."""
    doubled = 4.0 ** (qp // 6)
    for k in range(64):
        step = STEP8[qp % 6, ZIGZAG8[k]]
        out[k] = step * step * doubled * diagonal[ZIGZAG8[k]]
