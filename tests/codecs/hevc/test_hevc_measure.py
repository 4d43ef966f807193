"""Weights of coefficients of all transforms of HEVC, by the brute force of their basis functions."""

import numpy as np
import pytest

from cfm.codecs.distortion import Distortion
from cfm.codecs.hevc.measure import COSINE, SINE, SKIP, level_weights, localise, new_local
from cfm.codecs.hevc.tables import orthonormal
from cfm.codecs.metric import TRANSFORM4, metric_of

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
