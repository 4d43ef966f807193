"""Weights of coefficients of all transforms of HEVC, by the brute force of their basis functions."""

import numpy as np
import pytest

from cfm.codecs.distortion import Distortion
from cfm.codecs.hevc.local import COSINE, SINE, SKIP, localise, new_local
from cfm.codecs.hevc.measure import distortion_of, level_weights
from cfm.codecs.hevc.tables import orthonormal
from cfm.codecs.metric import PARTITION, TRANSFORM4, metric_of
from cfm.codecs.picture import plane_shapes

HEIGHT, WIDTH = 90, 120
BLOCKS = [
    (0, SINE, 4, 20, 44),
    (0, SKIP, 4, 20, 44),
    (0, COSINE + 2, 4, 8, 0),
    (0, COSINE + 3, 8, 40, 24),
    (0, COSINE + 4, 16, 16, 32),
    (0, COSINE + 5, 32, 0, 32),
    (1, COSINE + 2, 4, 12, 4),
    (2, COSINE + 3, 8, 8, 24),
    (2, COSINE + 4, 16, 16, 0),
]


def basis_of(kind, side):
    return orthonormal(4, sine=True) if kind == SINE else np.eye(4) if kind == SKIP else orthonormal(side)


def weights_of(data, plane, kind, side, y, x, corner=64):
    """Weights of the block at (y, x) in the coding tree block of 64x64 whose columns begin at `corner` in luma."""
    metric = metric_of(data, HEIGHT, WIDTH)
    local, out = new_local(metric), np.zeros(side * side, np.float32)
    localise(metric, 0, corner, 64, local)
    level_weights(local, plane, kind, y // 4, x // 4, side // 4, out)
    return out.reshape(side, side)


@pytest.mark.parametrize(("plane", "kind", "side", "y", "x"), BLOCKS)
def test_frequency_weights_of_macroblocks_in_all_transforms(plane, kind, side, y, x):
    rng, rows = np.random.default_rng(side + kind), basis_of(kind, side)
    weights, frequency = rng.uniform(0.2, 3, (3, 6, 8)), rng.uniform(0.1, 1, (3, 6, 8, 16))
    data = Distortion(HEIGHT, WIDTH, np.array([0.3, 0.6, 0.5]), weights, frequency)
    found = weights_of(data, plane, kind, side, y, x)
    unit = 16 if plane == 0 else 8
    covered = [(plane, (y + i) // unit, (x + j + 64 * unit // 16) // unit) for i in range(side) for j in range(side)]
    mean = np.mean([weights[place] * frequency[place] for place in covered], axis=0)
    for u, v in rng.integers(0, side, (12, 2)):
        error = np.outer(rows[u], rows[v])
        parts = error.reshape(side // 4, 4, side // 4, 4).transpose(0, 2, 1, 3).reshape(-1, 16)
        expected = data.sse[plane] + (mean * (parts @ TRANSFORM4.T) ** 2).sum()
        assert found[u, v] == pytest.approx(expected, rel=1e-4)


def with_pixels(seed=0):
    rng = np.random.default_rng(seed)
    shapes = plane_shapes("yuv420", HEIGHT, WIDTH)
    pixels = tuple(rng.uniform(0, 3, shape).astype(np.float32) for shape in shapes)
    weights, samples = rng.uniform(0.2, 3, (3, 6, 8)), rng.uniform(0.1, 0.5, (3, 16))
    return Distortion(HEIGHT, WIDTH, np.array([0.3, 0.6, 0.5]), weights, samples=samples, pixels=pixels)


def pixels_at(data, plane, side, y, x, corner=64):
    """Weights of the samples of a block, nothing outside the picture."""
    left = x + (corner if plane == 0 else corner // 2)
    return np.pad(data.pixels[plane], ((0, 64), (0, 64)))[y : y + side, left : left + side]


@pytest.mark.parametrize(("plane", "kind", "side", "y", "x"), BLOCKS)
def test_weights_of_samples_in_all_transforms(plane, kind, side, y, x):
    rng, rows, data = np.random.default_rng(side + kind), basis_of(kind, side), with_pixels()
    without = Distortion(HEIGHT, WIDTH, data.sse, data.weights, samples=data.samples)
    found = weights_of(data, plane, kind, side, y, x) - weights_of(without, plane, kind, side, y, x)
    for u, v in rng.integers(0, side, (12, 2)):
        expected = (pixels_at(data, plane, side, y, x) * np.outer(rows[u], rows[v]) ** 2).sum()
        assert found[u, v] == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(("plane", "kind", "side", "y", "x"), BLOCKS[2:])
def test_the_distortion_of_a_block_is_that_of_its_samples(plane, kind, side, y, x):
    rng, data = np.random.default_rng(kind), with_pixels()
    metric = metric_of(data, HEIGHT, WIDTH)
    local, scratch = new_local(metric), np.zeros((2, 16), np.int32)
    localise(metric, 0, 64, 64, local)
    source = rng.integers(0, 256, (side, side)).astype(np.int16)
    samples = np.clip(source + rng.integers(-9, 9, source.shape), 0, 255).astype(np.int16)
    place = (plane, y // 4, x // 4)
    found = distortion_of(local, PARTITION, *place, source, 0, 0, samples.ravel(), side, scratch[0], scratch[1])
    squares, unit = np.square(source.astype(float) - samples), 16 if plane == 0 else 8
    expected = (squares * (data.sse[plane] + pixels_at(data, plane, side, y, x))).sum()
    for i in range(side):
        for j in range(side):
            weight = data.weights[plane, (y + i) // unit, (x + j + 4 * unit) // unit]
            expected += weight * data.samples[plane, 4 * (i & 3) + (j & 3)] * squares[i, j]
    assert found == pytest.approx(expected, rel=1e-6)
