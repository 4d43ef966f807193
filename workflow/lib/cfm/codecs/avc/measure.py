"""The replaceable distortion in a macroblock; see `cfm.codecs.distortion`.

Before a macroblock is searched, its share of the data is brought into the small arrays of a `Local`, weights multiplied
in, so that the innermost loops read little and in order. Blocks of a plane are numbered in raster order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cfm.codecs.avc.tables import NORM4, STEP4, STEP8, ZIGZAG4, ZIGZAG8
from cfm.codecs.avc.transform import forward4
from cfm.codecs.distortion import ROWS4, ROWS8, Metric
from cfm.codecs.kernels import inlined, kernel

PLAIN, FREQUENCY, SAMPLES, FLAGS = range(4)


class Local(NamedTuple):
    """The distortion in one macroblock.

    Attributes
    ----------
    flags : array (FLAGS,) bool
        Whether it is a squared error alone, and whether weights in the transform's domain and of samples count.
    sse : array (3,)
        Weight of the squared error, by plane.
    frequency, samples : arrays (3, 16)
        Weights of the integer transform's coefficients and of samples.
    rows : array (3, 16, N, 16)
        Rows whose product with the error of a block counts squared: factors and sketches.
    diagonal4, diagonal8 : arrays (3, 16, 16) and (4, 64)
        Distortion of an error of 1 in an orthonormal coefficient of a block, of 4x4 in all planes, of 8x8 in luma.
    """

    flags: np.ndarray
    sse: np.ndarray
    frequency: np.ndarray
    samples: np.ndarray
    rows: np.ndarray
    diagonal4: np.ndarray
    diagonal8: np.ndarray


def new_local(metric: Metric) -> Local:
    """A local distortion of the size that a metric needs."""
    count = metric.factors.shape[1] + len(metric.sketches[0])
    return Local(
        flags=np.array([metric.plain, metric.has_frequency, metric.has_samples]),
        sse=metric.sse,
        frequency=np.zeros((3, 16)),
        samples=np.zeros((3, 16)),
        rows=np.zeros((3, 16, count, 16)),
        diagonal4=np.ones((3, 16, 16)) * metric.sse[:, None, None],
        diagonal8=np.ones((4, 64)) * metric.sse[0],
    )


@kernel
def localise(metric, my, mx, local):
    """Bring a metric into its local form for the macroblock at row my and column mx."""
    factors, sketches = metric.factors.shape[1], metric.sketches[0].shape[0]
    for plane in range(3):
        side = 4 if plane == 0 else 2
        weight = metric.weights[plane, my, mx]
        root = np.sqrt(weight)
        for k in range(16):
            local.frequency[plane, k] = weight * metric.frequency[plane, k] / NORM4[k]
            local.samples[plane, k] = weight * metric.samples[plane, k]
        for block in range(side * side):
            row, column = side * my + block // side, side * mx + block % side
            for factor in range(factors):
                for k in range(16):
                    local.rows[plane, block, factor, k] = root * metric.factors[plane, factor, k]
            for sketch in range(sketches):
                for k in range(16):
                    value = metric.sketches[plane][sketch, 4 * row + (k >> 2), 4 * column + (k & 3)]
                    local.rows[plane, block, factors + sketch, k] = value
            for k in range(16):
                local.diagonal4[plane, block, k] = metric.sse[plane] + weight * metric.diagonal4[plane, k]
            for sketch in range(sketches):
                add_squares(local.rows[plane, block, factors + sketch], ROWS4, 0, 0, local.diagonal4[plane, block])
    for block in range(4):
        for k in range(64):
            local.diagonal8[block, k] = metric.sse[0] + metric.weights[0, my, mx] * metric.diagonal8[0, k]
        # Sketches of different 4x4 blocks do not add up before the square.
        for part in range(4):
            row, column = part >> 1, part & 1
            small = 4 * (2 * (block >> 1) + row) + 2 * (block & 1) + column
            for sketch in range(sketches):
                values = local.rows[0, small, factors + sketch]
                add_squares(values, ROWS8, 4 * row, 4 * column, local.diagonal8[block])


@kernel
def add_squares(values, rows, top, left, out):
    """Add the squared coefficients of a 4x4 block, which stands at (top, left) in a block of zeros, to `out`.

    rows: those of an orthonormal transform of n samples; `out` has n * n entries.
    """
    side = rows.shape[0]
    half = np.empty((4, side))
    for i in range(4):
        for v in range(side):
            total = 0.0
            for j in range(4):
                total += values[4 * i + j] * rows[v, left + j]
            half[i, v] = total
    for u in range(side):
        for v in range(side):
            total = 0.0
            for i in range(4):
                total += half[i, v] * rows[u, top + i]
            out[side * u + v] += total * total


@inlined
def squared(error):
    """Sum of the squares of the errors (16,) of a 4x4 block."""
    total = 0
    for k in range(16):
        total += error[k] * error[k]
    return total


@inlined
def block_distortion(flags, sse, frequency, samples, rows, error, scratch):
    """Distortion of the error (16,) of a 4x4 block, with the entries of a `Local` for its plane and, `rows`, block."""
    if flags[PLAIN]:
        return sse * squared(error)
    return _weighted_distortion(flags, sse, frequency, samples, rows, error, scratch)


@kernel
def _weighted_distortion(flags, sse, frequency, samples, rows, error, scratch):
    """Apart from the squared error alone, so that the choice between them is small enough to be inlined."""
    total = squared(error)
    distortion = sse * total
    if total == 0:
        return distortion
    if flags[FREQUENCY]:
        forward4(error, scratch)
        for k in range(16):
            distortion += frequency[k] * (scratch[k] * scratch[k])
    if flags[SAMPLES]:
        for k in range(16):
            distortion += samples[k] * (error[k] * error[k])
    for row in range(rows.shape[0]):
        # Four sums that do not wait for each other.
        a = b = c = d = 0.0
        for k in range(0, 16, 4):
            a += rows[row, k] * error[k]
            b += rows[row, k + 1] * error[k + 1]
            c += rows[row, k + 2] * error[k + 2]
            d += rows[row, k + 3] * error[k + 3]
        product = (a + b) + (c + d)
        distortion += product * product
    return distortion


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
