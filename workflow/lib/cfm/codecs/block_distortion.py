"""The replaceable distortion of a block of 4x4 samples, see `cfm.codecs.distortion`: what our encoders evaluate alike.

Each of them brings the data of the blocks that it searches into small arrays of its own, weights multiplied in.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.kernels import inlined, kernel

# Whether the distortion is a squared error alone, whether weights in the transform's domain and of samples count,
# whether the former differ by macroblock, and whether single samples have weights.
PLAIN, FREQUENCY, SAMPLES, VARIES, PIXELS, FLAGS = range(6)
LANES = 4  # products that are summed up side by side

# Squared norms of the basis functions of `forward4`: they make coefficients orthonormal.
_NORM = np.array([4, 10, 4, 10])
NORM4 = np.outer(_NORM, _NORM).ravel()


def filled_up(count: int) -> int:
    """The next multiple of `LANES`."""
    return -(-count // LANES) * LANES


@kernel
def forward4(block, out):
    """4x4 forward transform of a residual; `out` may be `block`."""
    for i in range(0, 16, 4):
        a, b, c, d = block[i], block[i + 1], block[i + 2], block[i + 3]
        s0, s1, d0, d1 = a + d, b + c, a - d, b - c
        out[i], out[i + 1], out[i + 2], out[i + 3] = s0 + s1, 2 * d0 + d1, s0 - s1, d0 - 2 * d1
    for i in range(4):
        a, b, c, d = out[i], out[4 + i], out[8 + i], out[12 + i]
        s0, s1, d0, d1 = a + d, b + c, a - d, b - c
        out[i], out[4 + i], out[8 + i], out[12 + i] = s0 + s1, 2 * d0 + d1, s0 - s1, d0 - 2 * d1


@kernel
def add_spread(frequency, shares, side, half, out):
    """Add to the weights of a transform's coefficients what weights of those of the 4x4 transform amount to.

    Parameters
    ----------
    frequency : array (16,)
        Weights of the coefficients of all 4x4 blocks that the transform covers.
    shares : array (side or more, 4)
        See `cfm.codecs.metric.shares_of`.
    side : int
        Of the transform.
    half : array (side or more, 4 or more)
        Overwritten.
    out : array (side * side or more,)
        Weights in raster order.
    """
    for u in range(side):
        for j in range(4):
            first = shares[u, 0] * frequency[j] + shares[u, 1] * frequency[4 + j]
            half[u, j] = first + (shares[u, 2] * frequency[8 + j] + shares[u, 3] * frequency[12 + j])
    for u in range(side):
        h0, h1, h2, h3 = half[u, 0], half[u, 1], half[u, 2], half[u, 3]
        for v in range(side):
            first = h0 * shares[v, 0] + h1 * shares[v, 1]
            out[side * u + v] += first + (h2 * shares[v, 2] + h3 * shares[v, 3])


@kernel
def add_pixels(pixels, top, left, squares, side, half, out):
    """Add to the weights of a transform's coefficients what weights of single samples amount to.

    Parameters
    ----------
    pixels : array (h, w)
        Weights of samples; those of the block at (top, left) are taken.
    squares : array (side or more, side or more)
        Squares of the transform's rows, one a column.
    side : int
        Of the transform.
    half : array (side or more,)
        Overwritten.
    out : array (side * side or more,)
        Weights in raster order.
    """
    for u in range(side):
        for j in range(side):
            half[j] = 0
        for i in range(side):
            factor = squares[i, u]
            for j in range(side):
                half[j] += factor * pixels[top + i, left + j]
        for j in range(side):
            factor = half[j]
            for v in range(side):
                out[side * u + v] += factor * squares[j, v]


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
    """Apart from the squared error alone: inlined as well, it is slower."""
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
    for n in range(0, rows.shape[1], LANES):
        a = b = c = d = 0.0
        for k in range(16):
            a += rows[k, n] * error[k]
            b += rows[k, n + 1] * error[k]
            c += rows[k, n + 2] * error[k]
            d += rows[k, n + 3] * error[k]
        distortion += (a * a + b * b) + (c * c + d * d)
    return distortion
