"""The replaceable distortion in a coding tree block; see `cfm.codecs.distortion`.

Before a coding tree block is searched, its share of the data is brought into the small arrays of a `Local`, weights
multiplied in. Blocks of 4x4 of a plane are numbered in raster order, those of Cb and Cr after those of Y.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cfm.codecs.block_distortion import FLAGS, LANES, NORM4, filled_up
from cfm.codecs.distortion import DECISIONS
from cfm.codecs.hevc.state import new_record
from cfm.codecs.hevc.tables import SIZES, orthonormal
from cfm.codecs.kernels import general
from cfm.codecs.metric import Metric, shared_matrices, shares_of, sse_by_decision

# Kinds of transforms, for what an error of a coefficient costs.
SINE, SKIP, COSINE = 0, 1, 0  # a cosine transform's kind is COSINE + log2 of its side
KINDS = 6
SIDE = np.array([16, 8, 8])  # of a plane of a coding tree block of 64, in blocks
FIRST = np.array([0, 256, 320])
BLOCKS = 384


# What has a fixed size of a `Local`.
SHARED = np.dtype(
    [
        ("uses", np.uint8, (1, len(DECISIONS))),  # which decisions use the data
        ("switches", np.uint8, (len(DECISIONS), FLAGS)),  # see `cfm.codecs.block_distortion`; by decision
        ("sse", np.float64, (len(DECISIONS), 3)),  # weight of the squared error, by decision and plane
        ("weights", np.float32, (3, 16)),  # of macroblocks of 16x16 luma samples
        # Weights of the integer transform's coefficients by macroblock, and of samples by block.
        ("frequency", np.float64, (3, 16, 16)),
        ("samples", np.float64, (BLOCKS, 16)),
        # By macroblock: weights of the orthonormal transform's coefficients, where they differ.
        ("spectra", np.float32, (3, 16, 16)),
        # See `cfm.codecs.metric.shares_of`.
        ("shares", np.float32, (KINDS, 32, 4)),
        # Weights of single samples, and squares of the rows of each kind's transform, one a column.
        ("pixels", np.float32, (3, 64, 64)),
        ("powers", np.float32, (KINDS, 32, 32)),
        # Distortion of an error of 1 in a coefficient by the matrix that all blocks share, of weight 1.
        ("still", np.float32, (3, KINDS, 1024)),
        # Sums over the blocks of 4 of products of a basis function with itself, by (row, row).
        ("squares", np.float32, (KINDS, 32, 16)),
        # Room to work in.
        ("average", np.float32, (256,)),
        ("half", np.float32, (32, 16)),
        ("line", np.float32, (1, 32)),
    ]
)


class Local(NamedTuple):
    """The distortion in one coding tree block.

    Attributes
    ----------
    shared : structure SHARED
        What has a fixed size.
    rows : array (BLOCKS, 16, N)
        Columns whose product with the error of a block counts squared.
    matrices : array (BLOCKS, 256) float32
        Sums of the outer products of each block's sketches; no rows without sketches.
    """

    shared: np.record
    rows: np.ndarray
    matrices: np.ndarray


def _bases() -> dict[int, np.ndarray]:
    """Rows of the transform of each kind."""
    cosines = {COSINE + side.bit_length() - 1: orthonormal(side) for side in SIZES}
    return {SINE: orthonormal(4, sine=True), SKIP: np.eye(4), **cosines}


def new_local(metric: Metric) -> Local:
    """A local distortion of the size that a metric needs."""
    sketches = len(metric.sketches[0])
    count = filled_up(sketches) + filled_up(metric.factors.shape[1])
    shared = new_record(SHARED)
    squares, still = shared.squares, shared.still
    matrices = shared_matrices(metric.varies, metric.frequency, metric.samples, metric.factors)
    for kind, rows in _bases().items():
        parts = rows.reshape(len(rows), -1, 4)
        squares[kind, : len(rows)] = np.einsum("ubi,ubj->uij", parts, parts).reshape(-1, 16)
        shared.shares[kind, : len(rows)] = shares_of(rows)
        shared.powers[kind, : len(rows), : len(rows)] = np.square(rows.T)
        for plane in range(3):
            # (row, row) by (column, column)
            matrix = matrices[plane].reshape(4, 4, 4, 4).transpose(0, 2, 1, 3).reshape(16, 16)
            found = squares[kind, : len(rows)] @ matrix @ squares[kind, : len(rows)].T
            still[plane, kind, : found.size] = found.ravel()
    has_samples = metric.has_samples or metric.has_pixels
    shared.uses[0] = metric.uses
    for decision, used in enumerate(metric.uses):
        plain = metric.plain or not used
        shared.switches[decision] = plain, metric.has_frequency, has_samples, metric.varies, metric.has_pixels
    shared.sse[:] = sse_by_decision(metric)
    shared.weights[:] = 1
    return Local(shared, np.zeros((BLOCKS, 16, count)), np.zeros((BLOCKS if sketches else 0, 256), np.float32))


@general
def localise(metric, y, x, ctu, local):
    """Bring a metric into its local form for the coding tree block of a side of `ctu` at (y, x) in luma samples.

    Smaller ones take their place among those of 64.
    """
    factors, sketches = metric.factors.shape[1], metric.sketches[0].shape[0]
    used = (sketches + LANES - 1) // LANES * LANES
    tall, wide = metric.weights.shape[1], metric.weights.shape[2]
    for plane in range(3):
        sketched, side, scale = metric.sketches[plane], SIDE[plane], (4 if plane == 0 else 2)
        top, left = (y & ~63, x & ~63) if plane == 0 else ((y & ~63) >> 1, (x & ~63) >> 1)
        for square in range(16):
            row, column = (y >> 6 << 2) + (square >> 2), (x >> 6 << 2) + (square & 3)
            inside = 0 <= 16 * row - y < ctu and 0 <= 16 * column - x < ctu
            if not inside or row >= tall or column >= wide:
                continue
            weight = metric.weights[plane, row, column]
            local.shared.weights[plane, square] = weight
            frequency = metric.frequency[plane, row if metric.varies else 0, column if metric.varies else 0]
            for k in range(16):
                local.shared.frequency[plane, square, k] = weight * frequency[k] / NORM4[k]
                local.shared.spectra[plane, square, k] = weight * frequency[k]
            root = np.sqrt(weight)
            if metric.has_samples or metric.has_pixels:
                _fill_samples(metric, plane, square, top, left, weight, local)
            if used + factors == 0:
                continue
            for inside in range(scale * scale):
                block_y = scale * (square >> 2) + inside // scale
                block_x = scale * (square & 3) + inside % scale
                block = FIRST[plane] + side * block_y + block_x
                rows = local.rows[block]
                for k in range(16):
                    for factor in range(factors):
                        rows[k, used + factor] = root * metric.factors[plane, factor, k]
                    for sketch in range(sketches):
                        rows[k, sketch] = sketched[sketch, top + 4 * block_y + (k >> 2), left + 4 * block_x + (k & 3)]
                if sketches:
                    _sum_products(rows, used, local.matrices[block])


@general
def _fill_samples(metric, plane, square, top, left, weight, local):
    """Bring the weights of the samples of a macroblock of the coding tree block at (top, left) of a plane."""
    scale = 4 if plane == 0 else 2
    pixels, shared = metric.pixels[plane], local.shared
    for inside in range(scale * scale):
        block_y = scale * (square >> 2) + inside // scale
        block_x = scale * (square & 3) + inside % scale
        block = FIRST[plane] + SIDE[plane] * block_y + block_x
        for k in range(16):
            shared.samples[block, k] = weight * metric.samples[plane, k]
            if metric.has_pixels:
                y, x = 4 * block_y + (k >> 2), 4 * block_x + (k & 3)
                shared.pixels[plane, y, x] = pixels[top + y, left + x]
                shared.samples[block, k] += shared.pixels[plane, y, x]


@general
def _sum_products(rows, count, out):
    """Sums of the products of a block's samples, by (row, row) and (column, column)."""
    for i in range(16):
        for j in range(i, 16):
            total = 0.0
            for n in range(count):
                total += rows[i, n] * rows[j, n]
            out[64 * (i >> 2) + 16 * (j >> 2) + 4 * (i & 3) + (j & 3)] = total
            out[64 * (j >> 2) + 16 * (i >> 2) + 4 * (j & 3) + (i & 3)] = total
