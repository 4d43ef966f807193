"""A distortion as the kernels of our encoders take it; see `cfm.codecs.distortion`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cfm.codecs.distortion import DECISIONS, Distortion, check_decisions

MACROBLOCK = (16, 8, 8)  # samples of a side, by plane
# Places of `DECISIONS`: of the partition, the modes, the levels, and of the QP of a block.
PARTITION, MODES, LEVELS, DELTA_QP = range(len(DECISIONS))

# The rows of the forward transforms of AVC, of length 1.
_ROWS4 = np.array([[1, 1, 1, 1], [2, 1, -1, -2], [1, -1, -1, 1], [1, -2, 2, -1]], float)
_ROWS8 = np.array(
    [
        [8, 8, 8, 8, 8, 8, 8, 8],
        [12, 10, 6, 3, -3, -6, -10, -12],
        [8, 4, -4, -8, -8, -4, 4, 8],
        [10, -3, -12, -6, 6, 12, 3, -10],
        [8, -8, -8, 8, 8, -8, -8, 8],
        [6, -12, 3, 10, -10, -3, 12, -6],
        [4, -8, 8, -4, -4, 8, -8, 4],
        [3, -6, 10, -12, 12, -10, 6, -3],
    ],
    float,
)
ROWS4 = _ROWS4 / np.linalg.norm(_ROWS4, axis=1, keepdims=True)
ROWS8 = _ROWS8 / np.linalg.norm(_ROWS8, axis=1, keepdims=True)
TRANSFORM4, TRANSFORM8 = np.kron(ROWS4, ROWS4), np.kron(ROWS8, ROWS8)


class Metric(NamedTuple):
    """A distortion as the kernels take it: every array is there, of no rows where nothing counts.

    Attributes
    ----------
    plain : bool
        Whether the distortion is a weighted squared error, one weight a plane, in all decisions.
    uses : array (4,) bool
        Which of `DECISIONS` use the data.
    has_frequency, has_samples, has_pixels : bool
        Whether f, x and P count.
    varies : bool
        Whether f differs by macroblock.
    sse, plain_sse : arrays (3,)
        Weight of the squared error in decisions that use the data, and in others.
    weights : array (3, rows, columns)
        Weight of a macroblock.
    frequency : array (3, rows, columns, 16)
        f; of one row and column where it is the same everywhere.
    samples : array (3, 16)
        x.
    factors : array (3, R, 16)
        u.
    sketches : tuple of three arrays (K, H, W)
        g, padded to whole macroblocks.
    pixels : tuple of three arrays (H, W)
        P, likewise; of no rows where it does not count.
    diagonal4, diagonal8 : arrays (3, 16) and (3, 64)
        Diagonal of the small matrix of all macroblocks in the domains of the 4x4 and the 8x8 transform.
    """

    plain: bool
    uses: np.ndarray
    has_frequency: bool
    has_samples: bool
    has_pixels: bool
    varies: bool
    sse: np.ndarray
    plain_sse: np.ndarray
    weights: np.ndarray
    frequency: np.ndarray
    samples: np.ndarray
    factors: np.ndarray
    sketches: tuple[np.ndarray, np.ndarray, np.ndarray]
    pixels: tuple[np.ndarray, np.ndarray, np.ndarray]
    diagonal4: np.ndarray
    diagonal8: np.ndarray


def metric_of(distortion: Distortion | None, height: int, width: int, decisions: Sequence[str] = DECISIONS) -> Metric:
    """The metric of a distortion, or of the plain squared error, for a picture of height x width luma samples.

    decisions: those that use the data; the others use the squared error, weighted by `Distortion.plain`.
    Raises `ConfigurationError` where there is no such decision.
    """
    check_decisions(decisions)
    uses = np.array([distortion is None or name in decisions for name in DECISIONS])
    rows, columns = -(-height // 16), -(-width // 16)
    given = distortion or Distortion(height, width)
    frequency = _numbers(given.frequency, 3, 16)
    if frequency.ndim == 2 or frequency[0].size == 16:
        frequency = frequency.reshape(3, 1, 1, 16)
    samples = _numbers(given.samples, 3, 16)
    factors = _numbers(given.factors, 3, 0, 16)
    weights = np.ones((3, rows, columns)) if given.weights is None else _numbers(given.weights)
    varies = frequency[0].size > 16
    matrices = shared_matrices(varies, frequency, samples, factors)
    sketches = tuple(
        _padded(np.zeros((0, height, width)) if given.sketches is None else given.sketches[p], rows, columns, side)
        for p, side in enumerate(MACROBLOCK)
    )
    pixels = tuple(
        np.zeros((0, 0), np.float32) if given.pixels is None else _padded(given.pixels[p][None], rows, columns, side)[0]
        for p, side in enumerate(MACROBLOCK)
    )
    small = given.frequency is not None or given.samples is not None or given.factors is not None
    return Metric(
        plain=not uses.any() or not (small or given.sketches is not None or given.pixels is not None),
        uses=uses,
        has_frequency=given.frequency is not None,
        has_samples=given.samples is not None,
        has_pixels=given.pixels is not None,
        varies=varies,
        sse=_numbers(given.sse),
        plain_sse=_numbers(given.plain),
        weights=weights,
        frequency=frequency,
        samples=samples,
        factors=factors,
        sketches=sketches,
        pixels=pixels,
        diagonal4=np.stack([_diagonal(TRANSFORM4, matrix) for matrix in matrices]),
        diagonal8=np.stack([_diagonal(TRANSFORM8, _four_times(matrix)) for matrix in matrices]),
    )


def sse_by_decision(metric: Metric) -> np.ndarray:
    """Weight of the squared error, (4, 3) by decision and plane."""
    return np.where(metric.uses[:, None], metric.sse, metric.plain_sse)


def _numbers(values: np.ndarray | None, *shape: int) -> np.ndarray:
    """Values as one type of array, for which kernels are compiled once; zeros where there are none."""
    return np.zeros(shape) if values is None else np.ascontiguousarray(values, np.float64)


def shared_matrices(varies: bool, frequency: np.ndarray, samples: np.ndarray, factors: np.ndarray) -> list[np.ndarray]:
    """The small matrix (16, 16) of all macroblocks, by plane; without f where that differs by macroblock."""
    shared = np.zeros((3, 16)) if varies else frequency[:, 0, 0]
    return [small_matrix(shared[p], samples[p], factors[p]) for p in range(3)]


def small_matrix(frequency: np.ndarray, samples: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The small matrix (16, 16) in the domain of samples."""
    return TRANSFORM4.T @ np.diag(frequency) @ TRANSFORM4 + np.diag(samples) + factors.T @ factors


def shares_of(rows: np.ndarray) -> np.ndarray:
    """How much of each row of a transform (n, n) lies in each row of the 4x4 transform, block by block: (n, 4).

    With the weights F (4, 4) of the 4x4 transform's coefficients and these shares A, the weight of the coefficient
    (u, v) of the other transform, if each of the 4x4 blocks below it has F, is (A F A^T)[u, v].
    """
    return np.square(np.einsum("ubk,ik->ubi", rows.reshape(len(rows), -1, 4), ROWS4)).sum(1)


def _diagonal(transform: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return np.einsum("ki,ij,kj->k", transform, matrix, transform)


def _four_times(matrix: np.ndarray) -> np.ndarray:
    """The matrix (64, 64) of an 8x8 block whose four 4x4 blocks have `matrix` each."""
    whole = np.zeros((2, 4, 2, 4, 2, 4, 2, 4))
    for row in range(2):
        for column in range(2):
            whole[row, :, column, :, row, :, column, :] = matrix.reshape(4, 4, 4, 4)
    return whole.reshape(64, 64)


def _padded(plane: np.ndarray, rows: int, columns: int, side: int) -> np.ndarray:
    """Planes (K, h, w) extended by zeros to whole macroblocks."""
    if not len(plane):
        return np.zeros((0, side * rows, side * columns), np.float32)
    grown = ((0, 0), (0, side * rows - plane.shape[1]), (0, side * columns - plane.shape[2]))
    return np.pad(plane.astype(np.float32), grown)
