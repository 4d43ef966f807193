"""The network as a judge: its formula, its window, and both encoders under it."""

import numpy as np
import pytest
import torch

from cfm.codecs.picture import Picture
from cfm.codecs.registry import make_codec
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.errors import InputError
from cfm.sensitivity.calibration import Calibration
from cfm.sensitivity.feature_judge import FeatureJudge

HEIGHT, WIDTH = 40, 56


class RightHalf:
    """Looks at the right half of a picture alone, through one convolution."""

    name = "right half"

    def __init__(self):
        self.kernel = torch.randn((4, 3, 3, 3), generator=torch.Generator().manual_seed(0))

    def prepare(self, image):
        return image[None, :, :, image.shape[2] // 2 :]

    def features(self, prepared):
        return [torch.nn.functional.conv2d(prepared, self.kernel, padding=1)]


def calibration(unit=1e-5):
    weights = unit * np.array([1.0, 3.0, 4.0])
    return Calibration("right half", "", False, 1, weights, np.zeros((3, 16, 16)), np.zeros((3, 64, 64)))


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    shapes = ((HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2))
    return Picture(tuple(rng.integers(60, 190, shape).astype(np.uint8) for shape in shapes), "yuv420", 8)


def region(planes, y, x, size):
    luma = planes[0][y : y + size, x : x + size]
    return luma, *(plane[y // 2 : (y + size) // 2, x // 2 : (x + size) // 2] for plane in planes[1:])


def noisy(block, seed):
    rng = np.random.default_rng(seed)
    return tuple(np.clip(part + rng.integers(-9, 9, part.shape), 0, 255).astype(np.uint8) for part in block)


def by_formula(network, picture, decoded, tau, errors):
    def features(planes):
        tensors = [torch.from_numpy(plane.astype(np.float32)) for plane in planes]
        return network.features(network.prepare(planes_to_rgb(*tensors)))[0].double()

    moved = float((features(decoded) - features(picture.planes)).square().sum()) / 1e-5
    squared = sum(weight * np.square(error).sum() for weight, error in zip((1, 3, 4), errors, strict=True))
    return (moved + tau * squared) / (1 + tau)


def test_candidates_are_judged_by_the_networks_own_distance(picture):
    network, tau = RightHalf(), 0.5
    judge = FeatureJudge(network, picture, calibration(), tau)
    candidates = [noisy(region(picture.planes, 16, 32, 16), seed) for seed in (1, 2)]
    found = judge.distortions(16, 32, candidates)
    for value, candidate in zip(found, candidates, strict=True):
        decoded = [plane.astype(float) for plane in picture.planes]
        for part, block in zip(region(decoded, 16, 32, 16), candidate, strict=True):
            part[:] = block
        errors = [after - before for after, before in zip(decoded, picture.planes, strict=True)]
        assert value == pytest.approx(by_formula(network, picture, decoded, tau, errors), rel=1e-4)


def test_what_was_decided_before_is_seen_within_the_window_alone(picture):
    candidate, before = noisy(region(picture.planes, 16, 32, 16), 1), noisy(region(picture.planes, 0, 0, 16), 2)
    fresh = FeatureJudge(RightHalf(), picture, calibration(), 0.5).distortions(16, 32, [candidate])
    near, far = noisy(region(picture.planes, 0, 32, 16), 3), FeatureJudge(RightHalf(), picture, calibration(), 0.5, 8)
    far.commit(0, 0, before)
    assert far.distortions(16, 32, [candidate]) == pytest.approx(fresh)
    far.commit(0, 32, near)
    assert far.distortions(16, 32, [candidate])[0] > 1.02 * fresh[0]


def test_a_network_whose_features_are_no_numbers_is_refused(picture):
    network = RightHalf()
    network.kernel[0] = torch.nan
    with pytest.raises(InputError, match=r"right half.*not finite"):
        FeatureJudge(network, picture, calibration(), 0.5)


@pytest.mark.parametrize("name", ["avc", "hevc"])
def test_encoders_keep_what_the_network_looks_at(picture, name):
    smooth = [
        np.add.outer(np.arange(h) * 3, np.arange(w) * 2).astype(np.uint8) % 200
        for h, w in ((HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2))
    ]
    planes = tuple((a // 2 + b // 2).astype(np.uint8) for a, b in zip(smooth, picture.planes, strict=True))
    textured = Picture(planes, "yuv420", 8)
    codec = make_codec(name, deltas=(-6, 0, 6))
    stream = codec.encode(textured, 34, judge=FeatureJudge(RightHalf(), textured, calibration(1e-4), 0.1))
    error = np.square(codec.decode(stream).planes[0].astype(float) - textured.planes[0])
    plain = np.square(codec.decode(codec.encode(textured, 34)).planes[0].astype(float) - textured.planes[0])
    assert error[:, 32:].mean() / plain[:, 32:].mean() < 0.9 * error[:, :24].mean() / plain[:, :24].mean()
