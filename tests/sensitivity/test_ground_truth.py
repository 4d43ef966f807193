"""Importance against labels: drops by hand, pictures without labels, and the published weights."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from cfm.data.shards import SourcePicture
from cfm.evaluation.average_precision import load_annotations
from cfm.sensitivity.ground_truth import drops, ground_truth_losses
from cfm.sensitivity.losses import ground_truth_weights, loss_cube
from cfm.sensitivity.weights import scheme_weights

POINTS = (0, 1, 9)


class ShiftedBox:
    """Its one box lies where the mean of the features says."""

    name, task, strides = "shifted", "detection", (32, 64)

    def prepare(self, image):
        return image

    def features(self, prepared):
        return [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)]

    def predict(self, features, prepared):
        shift = sum(float(feature.mean()) for feature in features)
        boxes = torch.tensor([[shift, 0, shift + 10, 10]])
        return {"boxes": boxes, "scores": torch.tensor([0.9]), "labels": torch.tensor([0])}


class FakePrecoded:
    points, codec = POINTS, SimpleNamespace(name="fake")

    def decode(self, image_id, scale, point, like):
        return like + point * (scale + 1)


@pytest.fixture
def pictures(tmp_path):
    for number in (7, 8):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{number}.png")
    return [SourcePicture(image_id=number, path=tmp_path / f"{number}.png") for number in (8, 7)]


@pytest.fixture
def annotations(tmp_path):
    box = {"id": 1, "image_id": 7, "category_id": 5, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0}
    document = {
        "images": [{"id": number, "file_name": f"{number}.png", "width": 64, "height": 64} for number in (7, 8)],
        "annotations": [box],
        "categories": [{"id": 5, "name": "thing"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(document))
    return load_annotations(tmp_path / "instances.json")


def test_the_drop_is_that_of_each_pictures_own_precision(pictures, annotations):
    losses = ground_truth_losses(ShiftedBox(), pictures, FakePrecoded(), annotations)
    assert len(losses) == 2 * 2 * len(POINTS)
    labelled = losses[losses["image_id"] == 7].pivot(index="scale", columns="point", values="loss").to_numpy()
    np.testing.assert_allclose(labelled, [[0, 0.3, 1], [0, 0.6, 1]], atol=1e-9)
    assert (losses.loc[losses["image_id"] == 8, "loss"] == 0).all()


def test_small_drops_and_gains_count_as_none():
    np.testing.assert_array_equal(drops(np.full(4, 0.5), np.array([0.495, 0.48, 0.7, 0.0])), [0, 0.5 - 0.48, 0, 0.5])


def test_the_published_weights_by_hand():
    losses = np.array([[[0.2, 0.5], [0.4, 0.5], [0.3, 0.1]], [[0, 0], [0, 0], [0, 0]]])  # pictures, scales, points
    # Point 0: 0, 1, 1/2; point 1: 1, 1, 0; sums 1, 2, 1/2.
    np.testing.assert_allclose(ground_truth_weights(losses), [[2 / 7, 4 / 7, 1 / 7], [1 / 3, 1 / 3, 1 / 3]])


def test_the_reference_decides_the_weights(pictures, annotations):
    cube = loss_cube(ground_truth_losses(ShiftedBox(), pictures, FakePrecoded(), annotations))
    published = scheme_weights(cube, "mfiba", "ground_truth")
    np.testing.assert_allclose(published, [[0, 1], [0.5, 0.5]])
    assert scheme_weights(cube, "mfiba")[0, 0] > 0
