"""Sketches against exact Jacobians, finite differences and the real detector beside the checkout."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cfm.codecs.picture import Picture
from cfm.data.colour import rgb_to_yuv420
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.errors import ConfigurationError, InputError
from cfm.sensitivity.jacobian import feature_distance, jacobian_products, probe_generator, rademacher, sketch_picture
from cfm.sensitivity.sketch import Sketch, block_sums, idse, importance_map

NANODET = Path(__file__).parents[2] / ".." / "shared" / "nanodet" / "nanodet.py"


class SmallNetwork:
    """A convolution, a smooth nonlinearity and a coarser second scale."""

    name = "small"

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.kernels = [torch.randn((4, 3, 3, 3), generator=generator), torch.randn((3, 4, 2, 2), generator=generator)]

    def prepare(self, image):
        return image[None] - 0.5

    def features(self, prepared):
        fine = torch.tanh(torch.nn.functional.conv2d(prepared, self.kernels[0].to(prepared), padding=1))
        return [fine, torch.nn.functional.conv2d(fine, self.kernels[1].to(prepared), stride=2)]

    def objectness(self, features):
        return [feature.abs().amax(1, keepdim=True).clamp(max=1) for feature in features]


@pytest.fixture
def network():
    return SmallNetwork()


@pytest.fixture
def picture():
    rng = np.random.default_rng(2)
    luma = rng.integers(90, 160, (11, 9)).astype(np.uint8)
    chroma = rng.integers(115, 140, (2, 6, 5)).astype(np.uint8)
    return Picture((luma, *chroma), "yuv420", 8)


def flat_jacobian(network, picture, weights=None):
    """J as one matrix (features, samples of all planes), by torch's own exact differentiation in float64."""
    planes = tuple(torch.from_numpy(plane.astype(np.float64)) for plane in picture.planes)

    def f(*planes):
        features = network.features(network.prepare(planes_to_rgb(*planes)))
        return torch.cat(
            [(feature * (1 if weights is None else weights[i])).flatten() for i, feature in enumerate(features)]
        )

    parts = torch.autograd.functional.jacobian(f, planes)
    return np.concatenate([part.flatten(1).numpy() for part in parts], 1)


def block_labels(picture, block):
    """The block of every sample, planes flattened one after the other."""
    labels = []
    columns = -(-picture.width // block)
    for plane, side in zip(picture.planes, (block, block // 2, block // 2), strict=True):
        rows, cols = np.indices(plane.shape) // side
        labels.append((rows * columns + cols).ravel())
    return np.concatenate(labels)


@pytest.mark.parametrize("batched", [False, True])
def test_products_are_rows_of_the_exact_jacobian(network, picture, batched):
    planes = [torch.from_numpy(plane.astype(np.float32)).requires_grad_() for plane in picture.planes]
    features = network.features(network.prepare(planes_to_rgb(*planes)))
    probes = [rademacher((5, *feature.shape), torch.Generator().manual_seed(1)) for feature in features]
    products = jacobian_products(features, planes, probes, batched)
    flat_probes = np.concatenate([probe.flatten(1).numpy() for probe in probes], 1)
    expected = flat_probes @ flat_jacobian(network, picture)
    found = np.concatenate([product.reshape(5, -1) for product in products], 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_products_agree_with_finite_differences(network, picture):
    sketch = sketch_picture(network, picture, 7, 3, probe_generator(0, 7))
    planes = [torch.from_numpy(plane.astype(np.float64)) for plane in picture.planes]
    features = network.features(network.prepare(planes_to_rgb(*planes)))
    generator = probe_generator(0, 7)
    probes = [rademacher((3, *feature.shape), generator).double() for feature in features]

    def projected(planes):
        features = network.features(network.prepare(planes_to_rgb(*planes)))
        return sum((probe * feature).flatten(1).sum(1) for probe, feature in zip(probes, features, strict=True))

    for plane, at in [(0, (10, 8)), (0, (3, 4)), (1, (5, 0)), (2, (2, 4))]:
        step = torch.zeros_like(planes[plane])
        step[at] = 1e-3
        up, down = ([p + sign * step if i == plane else p for i, p in enumerate(planes)] for sign in (1, -1))
        slope = (projected(up) - projected(down)) / 2e-3
        np.testing.assert_allclose(sketch.planes[plane][(slice(None), *at)], slope, atol=1e-6)


def test_idse_with_every_row_of_the_jacobian_is_the_block_diagonal_form(network, picture):
    jacobian = flat_jacobian(network, picture)
    sizes = np.cumsum([plane.size for plane in picture.planes])[:-1]
    rows = [
        part.reshape(len(jacobian), *plane.shape)
        for part, plane in zip(np.split(jacobian, sizes, 1), picture.planes, strict=True)
    ]
    sketch = Sketch(*rows, 1, "exact", "", "", False)
    rng = np.random.default_rng(5)
    errors = [rng.normal(size=plane.shape) for plane in picture.planes]
    flat = np.concatenate([error.ravel() for error in errors])
    labels = block_labels(picture, 4)
    expected = sum(np.square(jacobian @ np.where(labels == label, flat, 0)).sum() for label in np.unique(labels))
    assert idse(sketch, errors, block=4) == pytest.approx(expected, rel=1e-9)
    assert idse(sketch, errors, block=16) == pytest.approx(np.square(jacobian @ flat).sum(), rel=1e-9)


def test_many_probes_converge_to_the_block_diagonal_of_the_gauss_newton_matrix(network, picture):
    jacobian = flat_jacobian(network, picture)
    sketch = sketch_picture(network, picture, 3, 4000, probe_generator(0, 3), batched=True)
    labels = block_labels(picture, 8)
    energy = np.square(jacobian).sum(0)
    expected = np.bincount(labels, energy).reshape(2, 2)
    pixels = block_sums(np.ones((11, 9)), 8)
    np.testing.assert_allclose(importance_map(sketch, 8), expected / pixels, rtol=0.05)
    errors = [np.random.default_rng(1).normal(size=plane.shape) for plane in picture.planes]
    flat = np.concatenate([error.ravel() for error in errors])
    exact = sum(np.square(jacobian @ np.where(labels == label, flat, 0)).sum() for label in range(4))
    assert idse(sketch, errors, 8) == pytest.approx(exact, rel=0.08)


def test_objectness_scales_the_features_as_a_constant(network, picture):
    planes = [torch.from_numpy(plane.astype(np.float64)) for plane in picture.planes]
    features = network.features(network.prepare(planes_to_rgb(*planes)))
    weights = [scale.sqrt() for scale in network.objectness(features)]
    jacobian = flat_jacobian(network, picture, weights)
    sketch = sketch_picture(network, picture, 3, 4000, probe_generator(0, 3), objectness=True, batched=True)
    energy = sum(np.square(plane).sum() for plane in sketch.planes)
    assert energy == pytest.approx(np.square(jacobian).sum(), rel=0.05)
    assert sketch.objectness


def test_small_errors_move_the_features_as_the_taylor_term_says(network, picture):
    planes = [torch.from_numpy(plane.astype(np.float64)) for plane in picture.planes]
    rng = np.random.default_rng(0)
    errors = [rng.normal(size=plane.shape) * 0.01 for plane in picture.planes]
    moved = [plane + torch.from_numpy(error) for plane, error in zip(planes, errors, strict=True)]
    before, after = (network.features(network.prepare(planes_to_rgb(*p))) for p in (planes, moved))
    flat = np.concatenate([error.ravel() for error in errors])
    exact = np.square(flat_jacobian(network, picture) @ flat).sum()
    assert feature_distance(after, before) == pytest.approx(exact, rel=1e-3)


def test_a_picture_has_its_own_probes_whatever_the_order(network, picture):
    first, again, other = (sketch_picture(network, picture, i, 2, probe_generator(9, i)) for i in (4, 4, 5))
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.y, other.y)
    assert first.picture_sha256 == other.picture_sha256


def test_mean_weights_are_per_plane():
    sketch = Sketch(np.full((2, 4, 4), 3.0), np.ones((2, 2, 2)), np.zeros((2, 2, 2)), 0, "n", "", "", False)
    assert sketch.mean_weights == (18, 2, 0)


def test_gradients_that_are_not_finite_are_one_clear_line(network, picture):
    class Broken(SmallNetwork):
        def features(self, prepared):
            return [(prepared - prepared.detach()).abs().sqrt()]

    with pytest.raises(InputError, match="picture 4: the gradient of small is not finite"):
        sketch_picture(Broken(), picture, 4, 2, probe_generator(0, 4))
    network.kernels[0][0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="features of small are not finite"):
        sketch_picture(network, picture, 4, 2, probe_generator(0, 4))


def test_shapes_and_blocks_that_do_not_fit_are_refused(network, picture):
    sketch = sketch_picture(network, picture, 1, 1, probe_generator(0, 1))
    with pytest.raises(ValueError, match="shapes"):
        idse(sketch, [np.zeros((4, 4))] * 3)
    with pytest.raises(ValueError, match="even"):
        importance_map(sketch, 5)
    grey = dataclasses.replace(picture, planes=picture.planes[:1], layout="grey")
    with pytest.raises(ValueError, match="yuv420"):
        sketch_picture(network, grey, 1, 1, probe_generator(0, 1))


@pytest.mark.shared
def test_idse_of_the_real_detector_ranks_errors_as_its_features_do(monkeypatch):
    if not NANODET.exists():
        pytest.skip("the validation folder ../shared is not beside this checkout")
    spec = importlib.util.spec_from_file_location("nanodet", NANODET)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    network = module.network()
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(40, 215, (6, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    picture = rgb_to_yuv420(smooth)
    sketch = sketch_picture(network, picture, 1, 4, probe_generator(0, 1))
    planes = [torch.from_numpy(plane.astype(np.float32)) for plane in picture.planes]
    with torch.no_grad():
        lossless = network.features(network.prepare(planes_to_rgb(*planes)))
        predicted, true = [], []
        for sigma in (0.5, 1, 2, 4):
            errors = [rng.normal(size=plane.shape) * sigma for plane in picture.planes]
            moved = [plane + torch.from_numpy(error).float() for plane, error in zip(planes, errors, strict=True)]
            predicted.append(idse(sketch, errors))
            true.append(feature_distance(network.features(network.prepare(planes_to_rgb(*moved))), lossless))
    assert predicted == sorted(predicted)
    assert np.corrcoef(np.log(predicted), np.log(true))[0, 1] > 0.97


class Detached(SmallNetwork):
    """Breaks the way from the features to the picture."""

    def features(self, prepared):
        return [scale.detach() if number else scale for number, scale in enumerate(super().features(prepared))]


class Strided(SmallNetwork):
    """Has no features of pictures that are smaller than its stride."""

    strides = (2, 32)

    def features(self, prepared):
        return [torch.nn.functional.conv2d(prepared, torch.ones(2, 3, 32, 32), stride=32)]


class Cropping(SmallNetwork):
    """Gives nothing back where a picture is too small."""

    strides = (16,)

    def features(self, prepared):
        return [prepared[:, :, 15::16, 15::16]]


class Broken(SmallNetwork):
    """The derivative of a square root at 0 is not a number."""

    def features(self, prepared):
        return [(prepared - prepared.detach()).sqrt() * 0]


class Cut(SmallNetwork):
    """Has parameters that require gradients behind a place where the way to the picture is broken."""

    def features(self, prepared):
        return [torch.nn.Parameter(torch.ones(1)) * scale.detach() for scale in super().features(prepared)]


class Converted(SmallNetwork):
    """Leaves torch on the way."""

    def prepare(self, image):
        return super().prepare(torch.from_numpy(image.numpy()))


class InPlace(SmallNetwork):
    """Changes what its derivative needs."""

    def features(self, prepared):
        root = prepared.clamp(min=1e-3).sqrt()
        features = [root * 1.0]
        root += 1
        return features


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        (Cut, ConfigurationError, "small: scale 0 of its features has no gradient"),
        (Converted, ConfigurationError, r"small: its features cannot be differentiated .*numpy"),
        (InPlace, ConfigurationError, r"small: its features cannot be differentiated .*in place"),
        (Detached, ConfigurationError, "small: scale 1 of its features has no gradient"),
        (Strided, InputError, r"picture 7 of 9x11: small cannot take it.*stride is 32.*minimum_side"),
        (Cropping, InputError, "picture 7 of 9x11 has no features in small"),
        (Broken, InputError, "picture 7: the gradient of small is not finite"),
    ],
)
def test_networks_and_pictures_that_cannot_be_sketched_say_so(kind, error, words, picture):
    with pytest.raises(error, match=words):
        sketch_picture(kind(), picture, 7, 2, probe_generator(0, 7))


@pytest.mark.parametrize(
    "given",
    [
        None,
        torch.ones(1, 1, 9, 11),
        [],
        [torch.ones(1, 1, 2, 2)],
        [torch.full((1, 1, 9, 11), -1.0), torch.ones(1, 1, 4, 5)],
    ],
)
def test_an_objectness_that_is_none_says_so(given, network, picture, monkeypatch):
    monkeypatch.setattr(network, "objectness", lambda features: given, raising=False)
    with pytest.raises(ConfigurationError, match="small: its objectness"):
        sketch_picture(network, picture, 7, 2, probe_generator(0, 7), objectness=True)


def test_a_sketch_knows_its_picture(network, picture):
    sketch = sketch_picture(network, picture, 7, 2, probe_generator(0, 7), network_sha256="ab")
    sketch.check_made_for(picture)
    assert sketch.network_sha256 == "ab"
    planes = (picture.planes[0] ^ 1, *picture.planes[1:])
    with pytest.raises(InputError, match="another picture than picture 7"):
        sketch.check_made_for(Picture(planes, "yuv420", 8))
