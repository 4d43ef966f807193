"""Pooled Gauss-Newton blocks against brute force and the exact Jacobian of a small network."""

import numpy as np
import pytest
import torch

from cfm.codecs.metric import TRANSFORM4
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.sensitivity.gauss_newton import (
    frequency_diagonal,
    low_rank,
    mean_matrix,
    pooled_frequencies,
    pooled_matrices,
)


def brute_force(plane, side, area):
    """Sums of outer products of the blocks that a square holds, over the samples that they cover."""
    probes, height, width = plane.shape
    rows, columns = -(-height // area), -(-width // area)
    padded = np.zeros((probes, rows * area, columns * area))
    padded[:, :height, :width] = plane
    found = np.zeros((rows, columns, side * side, side * side))
    for row in range(rows):
        for column in range(columns):
            inside = min(area, height - row * area) * min(area, width - column * area)
            for y in range(row * area, row * area + area, side):
                for x in range(column * area, column * area + area, side):
                    block = padded[:, y : y + side, x : x + side].reshape(probes, -1)
                    found[row, column] += block.T @ block
            found[row, column] /= inside / side**2
    return found


@pytest.mark.parametrize(("side", "area"), [(4, 16), (8, 16), (4, 8), (8, 8)])
@pytest.mark.parametrize(("height", "width"), [(32, 48), (35, 17), (5, 3)])
def test_matrices_are_the_mean_over_a_squares_blocks(side, area, height, width):
    plane = np.random.default_rng(0).normal(size=(3, height, width)).astype(np.float32)
    np.testing.assert_allclose(pooled_matrices(plane, side, area), brute_force(plane, side, area), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("area", [16, 8])
def test_frequencies_are_the_diagonals_of_the_matrices(area):
    plane = np.random.default_rng(1).normal(size=(2, 37, 50)).astype(np.float32)
    expected = frequency_diagonal(pooled_matrices(plane, 4, area))
    np.testing.assert_allclose(pooled_frequencies(plane, area), expected, rtol=1e-4)
    assert frequency_diagonal(np.eye(16)) == pytest.approx(np.ones(16))


def test_with_every_row_of_the_jacobian_the_matrix_is_the_block_of_j_transposed_j():
    kernel = torch.randn((4, 3, 3, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rng = np.random.default_rng(2)
    planes = [torch.from_numpy(rng.uniform(90, 160, shape)) for shape in ((8, 8), (4, 4), (4, 4))]

    def features(*planes):
        return torch.tanh(torch.nn.functional.conv2d(planes_to_rgb(*planes)[None], kernel, padding=1)).flatten()

    jacobian = torch.autograd.functional.jacobian(features, tuple(planes))[0].numpy()
    flat = jacobian.reshape(len(jacobian), -1)
    gauss_newton = (flat.T @ flat).reshape(8, 8, 8, 8)
    blocks = [gauss_newton[y : y + 4, x : x + 4, y : y + 4, x : x + 4].reshape(16, 16) for y in (0, 4) for x in (0, 4)]
    np.testing.assert_allclose(pooled_matrices(jacobian, 4, 8)[0, 0], np.mean(blocks, 0), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(mean_matrix(jacobian, 4), np.mean(blocks, 0), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(mean_matrix(jacobian, 8), gauss_newton.reshape(64, 64), rtol=1e-9, atol=1e-15)


def test_the_mean_leaves_out_blocks_that_the_plane_cuts():
    plane = np.random.default_rng(3).normal(size=(2, 10, 7))
    expected = np.mean([brute_force(plane[:, y : y + 4, :4], 4, 4)[0, 0] for y in (0, 4)], 0)
    np.testing.assert_allclose(mean_matrix(plane, 4), expected, rtol=1e-9)


def test_low_rank_keeps_the_diagonal_and_is_exact_at_full_rank():
    root = np.random.default_rng(4).normal(size=(16, 16))
    matrix = root @ root.T
    factors, rest = low_rank(matrix, 3)
    assert factors.shape == (3, 16)
    np.testing.assert_allclose(np.diag(factors.T @ factors) + rest, np.diag(matrix))
    factors, rest = low_rank(matrix, 16)
    np.testing.assert_allclose(factors.T @ factors + np.diag(rest), matrix, atol=1e-9)


def test_the_domain_of_frequencies_is_orthonormal():
    matrix = np.diag(np.arange(16.0))
    assert frequency_diagonal(matrix).sum() == pytest.approx(120)
    assert frequency_diagonal(TRANSFORM4.T @ matrix @ TRANSFORM4) == pytest.approx(np.arange(16.0))
