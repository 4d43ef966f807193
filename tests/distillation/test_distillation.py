"""Distillation: the weighted distance against its closed form and finite differences, and the training around it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.training import CodecTraining, initial_model
from cfm.codecs.learned.weights import load_model, save_weights
from cfm.distillation.crops import AnnotatedCrop, AnnotatedCrops
from cfm.distillation.losses import (
    box_weights,
    normalised,
    objectness_weights,
    uniform_weights,
    weighted_feature_distortion,
)
from cfm.distillation.training import distill_codec, feature_distance
from cfm.errors import ConfigurationError, InputError, WeightsError


class TinyNetwork:
    """Two scales of a frozen random convolution; objectness from the first channel."""

    name, task, strides = "tiny", "detection", (4, 8)

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.kernels = [torch.randn(5, 3, s, s, generator=generator) / s for s in self.strides]

    def prepare(self, image):
        return SimpleNamespace(image=image[None] - 0.5)

    def features(self, prepared):
        return [
            torch.tanh(torch.nn.functional.conv2d(prepared.image, kernel.to(prepared.image), stride=stride))
            for kernel, stride in zip(self.kernels, self.strides, strict=True)
        ]

    def objectness(self, features):
        return [torch.sigmoid(4 * scale[:, :1]) for scale in features]


class WaveSource:
    """Smooth random windows with one box."""

    def crop(self, rng, size):
        coarse = rng.integers(0, 256, (3, size // 8, size // 8)).astype(np.uint8)
        return AnnotatedCrop(coarse.repeat(8, 1).repeat(8, 2), np.float32([[8, 8, 40, 30]]))


def test_distortion_is_the_formula():
    features = [torch.full((1, 2, 1, 2), 3.0), torch.full((1, 4, 1, 1), -1.0)]
    reference = [torch.full((1, 2, 1, 2), 1.0), torch.full((1, 4, 1, 1), 0.5)]
    weights = [torch.tensor([[[[0.5, 2.0]]]]), torch.tensor([[[[3.0]]]])]
    expected = ((0.5 * 4 + 2.0 * 4) / 2 + 3.0 * 2.25) / 2
    assert float(weighted_feature_distortion(features, reference, weights)) == pytest.approx(expected)
    with pytest.raises(ValueError):
        weighted_feature_distortion(features, reference[:1], weights)


def test_weights_have_mean_one_and_keep_the_balance_of_scales():
    maps = [torch.rand(1, 1, 8, 8), 0.1 * torch.rand(1, 1, 4, 4)]
    scaled = normalised(maps)
    assert float(torch.stack([scale.mean() for scale in scaled]).mean()) == pytest.approx(1)
    assert torch.allclose(scaled[0] / maps[0], (scaled[1] / maps[1])[0, 0, 0, 0])
    assert all((scale == 1).all() for scale in normalised([torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)]))
    assert not objectness_weights([maps[0].requires_grad_(), maps[1]])[0].requires_grad


def test_box_weights_mark_the_cells_that_a_box_touches():
    reference = [torch.zeros(1, 3, 4, 8), torch.zeros(1, 3, 2, 4)]
    fine, coarse = box_weights(reference, torch.tensor([[17.0, 9.0, 31.0, 15.0]]), 32, 64, background=0.25)
    inside = torch.zeros(4, 8, dtype=torch.bool)
    inside[1, 2:4] = True
    assert torch.equal(fine[0, 0] > 1, inside)
    assert torch.equal((coarse > 1).nonzero()[:, 2:], torch.tensor([[0, 1]]))
    assert float(fine.max() / fine.min()) == pytest.approx(4)
    none = box_weights(reference, torch.zeros(0, 4), 32, 64)
    assert all(torch.allclose(scale, torch.ones_like(scale)) for scale in none)


@pytest.mark.parametrize("weighting", ["none", "ground_truth", "objectness"])
def test_gradient_agrees_with_finite_differences(weighting):
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(3, 16, 24, generator=generator, dtype=torch.float64)
    decoded = (picture + 0.1 * torch.randn(3, 16, 24, generator=generator, dtype=torch.float64)).requires_grad_()
    boxes = torch.tensor([[2.0, 3.0, 9.0, 12.0]])

    def distance(samples):
        return feature_distance(TinyNetwork(), weighting, samples, picture, boxes)

    (gradient,) = torch.autograd.grad(distance(decoded), decoded)
    direction = torch.randn(3, 16, 24, generator=generator, dtype=torch.float64)
    step = 1e-5
    numeric = (distance(decoded + step * direction) - distance(decoded - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(numeric), rel=1e-6)
    assert float(distance(picture)) == 0


def test_objectness_weighting_counts_errors_where_objects_are():
    network, picture = TinyNetwork(), torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(2))
    features = network.features(network.prepare(picture))
    weights = objectness_weights(network.objectness(features))
    plain = weighted_feature_distortion([f + 1 for f in features], features, uniform_weights(features))
    weighted = weighted_feature_distortion([f + 1 for f in features], features, weights)
    assert float(plain) == pytest.approx(1)
    assert float(weighted) == pytest.approx(1)
    where = [(weight > weight.median()).float() for weight in weights]
    error = [f + mask for f, mask in zip(features, where, strict=True)]
    assert weighted_feature_distortion(error, features, weights) > weighted_feature_distortion(
        error, features, uniform_weights(features)
    )


@pytest.fixture
def initial(tmp_path):
    architecture = Architecture("cheng2020-attn", 8)
    save_weights(tmp_path / "base.safetensors", initial_model(architecture, 0, None), architecture)
    return tmp_path / "base.safetensors"


def distill(folder, initial, settings, weighting="objectness", network=None, source=None):
    paths = (folder / "c.pt", folder / "w.safetensors", folder / "log.csv")
    architecture = Architecture("cheng2020-attn", 8)
    distill_codec(network or TinyNetwork(), weighting, architecture, settings, source or WaveSource(), initial, *paths)
    return paths


def test_a_stopped_distillation_ends_as_an_unbroken_one_and_the_network_stays(tmp_path, initial):
    settings = CodecTraining(20.0, 5, batch=2, crop=64, schedule="step", checkpoint_every=2)
    network = TinyNetwork()
    before = [kernel.clone() for kernel in network.kernels]
    whole = distill(tmp_path / "whole", initial, settings, network=network)
    assert all(torch.equal(kernel, other) for kernel, other in zip(before, network.kernels, strict=True))

    class Stopped(Exception):
        pass

    class Stopping(WaveSource):
        drawn = 0

        def crop(self, *arguments):
            self.drawn += 1
            if self.drawn == 6:
                raise Stopped
            return super().crop(*arguments)

    with pytest.raises(Stopped):
        distill(tmp_path / "broken", initial, settings, source=Stopping())
    broken = distill(tmp_path / "broken", initial, settings)
    assert broken[1].read_bytes() == whole[1].read_bytes() != initial.read_bytes()
    with pytest.raises(WeightsError, match="other settings"):
        distill(tmp_path / "broken", initial, settings, weighting="none")


def test_distillation_lowers_the_feature_distance(tmp_path, initial):
    settings = CodecTraining(100.0, 30, batch=2, crop=64, learning_rate=3e-3, schedule="step")
    _, weights, _ = distill(tmp_path, initial, settings)
    network, rng = TinyNetwork(), np.random.default_rng(8)
    pictures = [torch.from_numpy(WaveSource().crop(rng, 64).picture).float() / 255 for _ in range(4)]

    def distance(path):
        model = load_model(path).model
        with torch.inference_mode():
            outputs = [model(picture[None])["x_hat"][0] for picture in pictures]
        pairs = zip(outputs, pictures, strict=True)
        return np.mean([float(feature_distance(network, "objectness", *pair, torch.zeros(0, 4))) for pair in pairs])

    assert distance(weights) < 0.9 * distance(initial)


def test_unknown_weighting(tmp_path, initial):
    with pytest.raises(ConfigurationError, match="objectness"):
        distill(tmp_path, initial, CodecTraining(1.0, 1, crop=64), weighting="objectnes")


def test_boxes_move_with_the_window(tmp_path):
    picture = np.zeros((80, 100, 3), np.uint8)
    picture[30:50, 40:70] = 255
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train2017").mkdir()
    Image.fromarray(picture).save(tmp_path / "train2017" / "1.png")
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 30, 30, 20], "area": 600, "iscrowd": 0}
    document = {
        "images": [{"id": 1, "file_name": "1.png", "width": 100, "height": 80}],
        "annotations": [annotation | {"segmentation": []}],
        "categories": [{"id": 1, "name": "person"}],
    }
    path = tmp_path / "annotations" / "instances_train2017.json"
    path.write_text(json.dumps(document))
    source, rng = AnnotatedCrops(tmp_path, "train2017"), np.random.default_rng(0)
    seen = 0
    for _ in range(20):
        crop = source.crop(rng, 64)
        bright = np.argwhere(crop.picture[0] == 255)
        if len(crop.boxes):
            (y1, x1), (y2, x2) = bright.min(0), bright.max(0) + 1
            assert crop.boxes.tolist() == [[x1, y1, x2, y2]]
            seen += 1
        else:
            assert not len(bright)
    assert seen > 10
    assert source.crop(rng, 128).picture.shape == (3, 128, 128)
    path.write_text(json.dumps(document | {"annotations": []}))
    with pytest.raises(InputError, match="instances_train2017"):
        AnnotatedCrops(tmp_path, "train2017")
