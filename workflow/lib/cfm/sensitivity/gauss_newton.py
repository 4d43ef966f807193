"""Gauss-Newton blocks of a network's Jacobian, pooled over macroblocks, and the small matrices made of them.

A sketch g_1 ... g_K of the Jacobian J gives, for the samples b of a block, sum_k g_k,b g_k,b^T, whose mean over probes
is the block of J^T J that belongs to b. One block's estimate has rank K; pooled over the blocks of a macroblock, which
the network sees alike, it is a matrix that K = 2 determine well enough (METHODS §1).
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.metric import ROWS4, ROWS8, TRANSFORM4

MACROBLOCK = (16, 8, 8)  # samples of a side, by plane
ROWS = {4: ROWS4, 8: ROWS8}


def blocks_of(plane: np.ndarray, side: int, area: int) -> np.ndarray:
    """A plane (K, H, W) as blocks: (rows, columns, K, (area / side)^2, side^2), zeros where it ends before.

    Parameters
    ----------
    plane : array (K, H, W)
        A sketch's plane.
    side : int
        Of a block, samples; divides `area`.
    area : int
        Side of the squares whose blocks stand together, samples.
    """
    probes, height, width = plane.shape
    plane = np.pad(plane, ((0, 0), (0, -height % area), (0, -width % area)))
    rows, columns, inner = plane.shape[1] // area, plane.shape[2] // area, area // side
    split = plane.reshape(probes, rows, inner, side, columns, inner, side)
    return split.transpose(1, 4, 0, 2, 5, 3, 6).reshape(rows, columns, probes, inner * inner, side * side)


def covered(height: int, width: int, area: int) -> np.ndarray:
    """Share of every square of a side of `area` that lies in a plane of (height, width): (rows, columns)."""
    tall = np.clip(height - area * np.arange(-(-height // area)), 0, area)
    wide = np.clip(width - area * np.arange(-(-width // area)), 0, area)
    return np.outer(tall, wide) / area**2


def pooled_matrices(plane: np.ndarray, side: int, area: int) -> np.ndarray:
    """Gauss-Newton blocks of side^2 samples, mean over the blocks of every square of a side of `area`.

    Parameters
    ----------
    plane : array (K, H, W)
        A sketch's plane.
    side : int
        4 or 8; divides `area`.
    area : int
        Side of a macroblock or coding unit in samples of this plane.

    Returns
    -------
    array (ceil(H / area), ceil(W / area), side^2, side^2) float64
        sum_k g_k,b g_k,b^T, mean over blocks b; what lies beyond the plane is left out of the mean.
    """
    blocks = blocks_of(plane, side, area).astype(np.float64)
    rows, columns, *_, samples = blocks.shape
    stacked = blocks.reshape(rows, columns, -1, samples)
    count = (area // side) ** 2 * covered(*plane.shape[1:], area)
    return stacked.transpose(0, 1, 3, 2) @ stacked / count[..., None, None]


def pooled_frequencies(plane: np.ndarray, area: int) -> np.ndarray:
    """Diagonals of `pooled_matrices` for 4x4 blocks in the domain of AVC's 4x4 transform, without making the matrices.

    Returns
    -------
    array (ceil(H / area), ceil(W / area), 16) float64
        sum_k (T g_k,b)^2, mean over blocks b.
    """
    probes, height, width = plane.shape
    grown = np.pad(plane, ((0, 0), (0, -height % area), (0, -width % area)))
    rows = ROWS4.astype(np.float32)
    tall = np.einsum("ui,kyix->kyux", rows, grown.reshape(probes, -1, 4, grown.shape[2]))
    both = tall.reshape(probes, -1, 4, grown.shape[2] // 4, 4) @ rows.T  # (k, block row, u, block column, v)
    inner = area // 4
    squares = np.square(both, out=both).sum(0)
    tall_blocks = squares.reshape(-1, inner, 4, squares.shape[2], 4).sum(1, dtype=np.float64)
    pooled = tall_blocks.reshape(len(tall_blocks), 4, -1, inner, 4).sum(3)
    pooled = pooled.transpose(0, 2, 1, 3).reshape(len(tall_blocks), -1, 16)
    return pooled / (inner**2 * covered(height, width, area))[..., None]


def mean_matrix(plane: np.ndarray, side: int) -> np.ndarray:
    """Gauss-Newton block (side^2, side^2), mean over all whole blocks of a plane (K, H, W)."""
    probes, height, width = plane.shape
    whole = plane[:, : height - height % side, : width - width % side]
    blocks = blocks_of(whole, side, side).reshape(-1, probes, side * side).astype(np.float64)
    return np.einsum("bki,bkj->ij", blocks, blocks) / len(blocks)


def frequency_diagonal(matrix: np.ndarray) -> np.ndarray:
    """Diagonal of (..., 16, 16) matrices in the domain of the 4x4 transform: (..., 16)."""
    return np.einsum("ki,...ij,kj->...k", TRANSFORM4, matrix, TRANSFORM4)


def low_rank(matrix: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """A matrix (16, 16) as `rank` rows u and weights x of samples: sum u u^T + diag(x), x the rest's diagonal.

    Returns
    -------
    arrays (rank, 16) and (16,)
        Factors of the largest eigenvalues, and what remains on the diagonal, at least 0.
    """
    values, vectors = np.linalg.eigh(matrix)
    kept = np.clip(values[::-1][:rank], 0, None)
    factors = (vectors[:, ::-1][:, :rank] * np.sqrt(kept)).T
    return factors, np.clip(np.diag(matrix) - np.square(factors).sum(0), 0, None)
