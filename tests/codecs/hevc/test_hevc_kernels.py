"""Kernels against closed forms: transforms, and the rough choice of modes against a look at all of them."""

import numpy as np
import pytest
from tests.codecs.stress import picture_of

from cfm.codecs.hevc.blocks import gather
from cfm.codecs.hevc.mode_search import rank_mode, rank_modes
from cfm.codecs.hevc.state import HEIGHT, LOG2_CTU, OPTIONS, WIDTH, new_frame, new_work
from cfm.codecs.hevc.tables import MODES, cosine, orthonormal
from cfm.codecs.hevc.transform import forward, inverse

LIKELY = (0, 1, 26)


@pytest.mark.parametrize(("side", "sine"), [(4, True), (4, False), (8, False), (16, False), (32, False)])
def test_the_forward_transform_is_the_orthonormal_one(side, sine):
    residual = np.random.default_rng(side).integers(-255, 256, (side, side)).astype(np.float32)
    half, out = (np.full(1024, 7, np.float32) for _ in range(2))
    forward(residual.ravel().copy(), side, sine, half, out)
    rows = orthonormal(side, sine)
    expected = rows @ residual @ rows.T
    np.testing.assert_allclose(out[: side * side].reshape(side, side), expected, atol=1e-3)


@pytest.mark.parametrize("side", [4, 8, 16, 32])
def test_the_inverse_of_one_coefficient_is_its_row(side):
    block, half, out = (np.zeros(1024, np.int32) for _ in range(3))
    block[side * 1 + 2] = 640
    inverse(block, side, False, 2, 3, half, out)
    expected = 640 * np.outer(cosine(side)[1], cosine(side)[2]) / 2**19
    assert np.abs(out[: side * side].reshape(side, side) - expected).max() <= 1


def rough_costs(picture, y, x, side, count):
    """The modes that `rank_modes` chooses, and the rough costs of all."""
    planes = picture.planes
    options = np.zeros(OPTIONS, np.int64)
    options[HEIGHT], options[WIDTH], options[LOG2_CTU] = *planes[0].shape, 6
    frame, work = new_frame(planes, 33, options), new_work()
    frame.coded[0][:] = frame.source[0]
    gather(frame, work, 0, y, x, side)
    chosen = np.zeros(MODES + 1, np.int64)
    found = rank_modes(work, frame.source[0], y, x, side, LIKELY, 20.0, count, chosen)
    work.costs[0, :] = np.inf
    for mode in range(MODES):
        rank_mode(work, frame.source[0], y, x, side, LIKELY, 20.0, mode)
    return chosen[:found], work.costs[0, :MODES].copy()


@pytest.mark.parametrize("side", [8, 16, 32])
def test_angles_from_coarse_to_fine_are_nearly_as_good_as_all(side):
    pictures = [picture_of("textured", 128, 160, seed) for seed in range(3)]
    losses, hits = [], 0
    for picture in pictures:
        for y in range(side, 128 - side, side):
            for x in range(side, 160 - side, side):
                chosen, costs = rough_costs(picture, y, x, side, 3)
                assert len(set(chosen)) == len(chosen) >= 3
                assert LIKELY[0] in chosen
                assert list(costs[chosen[:3]]) == sorted(costs[chosen[:3]])
                losses.append(costs[chosen[0]] / costs.min() - 1)
                hits += costs[chosen[0]] == costs.min()
    assert min(losses) >= 0
    assert np.mean(losses) < 0.02
    assert hits > 0.6 * len(losses)
