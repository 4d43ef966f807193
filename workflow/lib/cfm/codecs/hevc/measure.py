"""Distortion of blocks of a coding tree block and of errors of their coefficients, from a `Local`'s data."""

from __future__ import annotations

import numpy as np

from cfm.codecs.block_distortion import PIXELS, PLAIN, VARIES, add_pixels, add_spread, block_distortion
from cfm.codecs.hevc.local import FIRST, SIDE
from cfm.codecs.kernels import general, inlined, kernel
from cfm.codecs.metric import LEVELS


@general
def level_weights(local, plane, kind, y, x, side, out):
    """Distortion of an error of 1 in each orthonormal coefficient of a block.

    Parameters
    ----------
    local : Local
        The distortion.
    plane, kind : int
        Plane, and kind of transform.
    y, x, side : int
        The block, in 4x4 blocks of the plane of the coding tree block.
    out : array float32
        Written, in raster order. Weights, f and sketches are taken as spread evenly over the block, which is exact in
        4x4.
    """
    squared = local.shared.sse[LEVELS, plane]
    count = 16 * side * side
    if local.shared.switches[LEVELS, PLAIN]:
        for k in range(count):
            out[k] = squared
        return
    scale = 2 if plane == 0 else 1  # log2 of the side of a macroblock in blocks
    weight = np.float32(0)
    for row in range(y, y + side):
        for column in range(x, x + side):
            weight += local.shared.weights[plane, 4 * (row >> scale) + (column >> scale)]
    weight /= side * side
    still = local.shared.still[plane, kind]
    for k in range(count):
        out[k] = squared + weight * still[k]
    if local.shared.switches[LEVELS, VARIES]:
        _add_spectra(local, plane, kind, y >> scale, x >> scale, max(1, side >> scale), 4 * side, out)
    if local.shared.switches[LEVELS, PIXELS]:
        pixels, powers = local.shared.pixels[plane], local.shared.powers[kind]
        add_pixels(pixels, 4 * y, 4 * x, powers, 4 * side, local.shared.line[0], out)
    if len(local.matrices) == 0:
        return
    mean, half, squares = local.shared.average, local.shared.half, local.shared.squares[kind]
    for k in range(256):
        mean[k] = 0
    for row in range(y, y + side):
        for column in range(x, x + side):
            matrix = local.matrices[FIRST[plane] + SIDE[plane] * row + column]
            for k in range(256):
                mean[k] += matrix[k]
    share = np.float32(1 / (side * side))
    for u in range(4 * side):
        for j in range(16):
            half[u, j] = 0
        for i in range(16):
            factor = share * squares[u, i]
            for j in range(16):
                half[u, j] += factor * mean[16 * i + j]
    for u in range(4 * side):
        for v in range(4 * side):
            total = np.float32(0)
            for j in range(16):
                total += half[u, j] * squares[v, j]
            out[4 * side * u + v] += total


@general
def _add_spectra(local, plane, kind, top, left, macroblocks, side, out):
    """Add the mean of what the weights f of macroblocks amount to, those at (top, left), so many down and across."""
    mean, share = local.shared.average, np.float32(1 / (macroblocks * macroblocks))
    for k in range(16):
        mean[k] = 0
    for row in range(top, top + macroblocks):
        for column in range(left, left + macroblocks):
            for k in range(16):
                mean[k] += share * local.shared.spectra[plane, 4 * row + column, k]
    add_spread(mean, local.shared.shares[kind], side, local.shared.half, out)


@inlined
def alike(local, decision, other):
    """Whether two decisions have the same distortion."""
    return local.shared.uses[0, decision] == local.shared.uses[0, other]


@general
def distortion_of(local, decision, plane, block_y, block_x, source, y, x, samples, side, error, scratch):
    """Distortion of a block's decoded samples.

    Parameters
    ----------
    local : Local
        The distortion.
    decision : int
        Which one it is for, see `cfm.codecs.metric`.
    plane, block_y, block_x : int
        Plane and place, in 4x4 blocks of the plane of the coding tree block.
    source : array (h, w)
        The plane; the block at (y, x) is compared.
    samples : array (side * side,)
        As decoded.
    error, scratch : arrays (16,)
        Overwritten.
    """
    if local.shared.switches[decision, PLAIN]:
        return local.shared.sse[decision, plane] * squared_error(source, y, x, samples, side)
    total, scale = 0.0, (2 if plane == 0 else 1)
    flags, sse = local.shared.switches[decision], local.shared.sse[decision, plane]
    frequency, weights, rows = local.shared.frequency[plane], local.shared.samples, local.rows
    for row in range(side >> 2):
        for column in range(side >> 2):
            for i in range(4):
                for j in range(4):
                    decoded = samples[(4 * row + i) * side + 4 * column + j]
                    error[4 * i + j] = source[y + 4 * row + i, x + 4 * column + j] - decoded
            square = 4 * ((block_y + row) >> scale) + ((block_x + column) >> scale)
            block = FIRST[plane] + SIDE[plane] * (block_y + row) + block_x + column
            total += block_distortion(flags, sse, frequency[square], weights[block], rows[block], error, scratch)
    return total


def _make_squared_error(side):
    @kernel
    def squared(source, y, x, samples):
        total = 0
        for i in range(side):
            line = np.int32(0)
            for j in range(side):
                error = np.int32(np.int32(source[y + i, x + j]) - np.int32(samples[i * side + j]))
                line = np.int32(line + np.int32(error * error))
            total += line
        return total

    return squared


_SQUARED4, _SQUARED8 = _make_squared_error(4), _make_squared_error(8)
_SQUARED16, _SQUARED32 = _make_squared_error(16), _make_squared_error(32)


@inlined
def squared_error(source, y, x, samples, side):
    """Sum of squares of the differences between a block of a plane and samples (side * side,)."""
    if side == 4:
        return _SQUARED4(source, y, x, samples)
    if side == 8:
        return _SQUARED8(source, y, x, samples)
    if side == 16:
        return _SQUARED16(source, y, x, samples)
    return _SQUARED32(source, y, x, samples)
