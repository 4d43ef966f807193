"""Average precision against detections: pycocotools on the same data, hand-made cases, and degraded pyramids."""

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cfm.errors import ConfigurationError
from cfm.sensitivity.detection_agreement import agreement_losses, average_precision, keypoint_similarities


def detections(boxes, scores, labels, **more):
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor(scores, dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
        **more,
    }


def random_detections(rng, count):
    corner, size = rng.uniform(0, 60, (count, 2)), rng.uniform(10, 50, (count, 2))
    return detections(np.hstack([corner, corner + size]), rng.uniform(0.4, 1, count), rng.integers(0, 3, count))


def moved(rng, reference):
    """Jittered copies, a few left out, a few invented."""
    extra = random_detections(rng, 4)
    kept = rng.random(len(reference["scores"])) < 0.8
    boxes = reference["boxes"].numpy()[kept] + rng.normal(0, 2, (kept.sum(), 4))
    merged = [np.concatenate([ours, extra[key].numpy()]) for key, ours in (("boxes", boxes),)]
    labels = np.concatenate([reference["labels"].numpy()[kept], extra["labels"].numpy()])
    return detections(merged[0], rng.uniform(0, 1, len(labels)), labels)


def coco_average_precision(found, reference):
    def annotation(number, box, label, **more):
        x, y, right, bottom = (float(v) for v in box)
        box = [x, y, right - x, bottom - y]
        return {"id": number, "image_id": 1, "category_id": int(label) + 1, "bbox": box, "area": 1e3, **more}

    truth = COCO()
    truth.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": i} for i in (1, 2, 3)],
        "annotations": [
            annotation(i + 1, box, label, iscrowd=0)
            for i, (box, label) in enumerate(zip(reference["boxes"], reference["labels"], strict=True))
        ],
    }
    truth.createIndex()
    results = [
        annotation(i + 1, box, label, score=float(score))
        for i, (box, label, score) in enumerate(zip(found["boxes"], found["labels"], found["scores"], strict=True))
    ]
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    return precision[precision > -1].mean()


@pytest.mark.parametrize("seed", range(6))
def test_it_is_cocos_average_precision(seed, capsys):
    rng = np.random.default_rng(seed)
    reference = random_detections(rng, 12)
    found = moved(rng, reference)
    assert average_precision(found, reference) == pytest.approx(coco_average_precision(found, reference), abs=1e-6)


def test_equal_detections_agree_and_none_do_not():
    reference = random_detections(np.random.default_rng(0), 5)
    assert average_precision(reference, reference) == 1
    assert average_precision(detections([], [], []), reference) == 0
    assert average_precision(reference, detections([], [], [])) == 1


def test_weak_reference_detections_neither_count_nor_make_false_alarms():
    strong, weak = [0, 0, 10, 10], [50, 50, 70, 70]
    reference = detections([strong, weak], [0.9, 0.1], [1, 1])
    assert average_precision(detections([weak, strong], [0.9, 0.8], [1, 1]), reference) == 1
    assert average_precision(detections([strong], [0.8], [1]), reference) == 1
    invented = detections([[20, 0, 30, 10], strong], [0.9, 0.8], [1, 1])
    assert average_precision(invented, reference) == pytest.approx(0.5)


def test_masks_and_keypoints_decide_where_the_task_has_them():
    boxes, labels = [[0, 0, 8, 8]], [0]
    left, right = torch.zeros(1, 8, 8, dtype=torch.bool), torch.zeros(1, 8, 8, dtype=torch.bool)
    left[:, :, :4], right[:, :, 4:] = True, True
    assert (
        average_precision(detections(boxes, [0.9], labels, masks=left), detections(boxes, [0.9], labels, masks=right))
        == 0
    )
    points = torch.zeros(1, 17, 3)
    far = points + 100
    seen = detections(boxes, [0.9], labels, keypoints=points)
    assert average_precision(detections(boxes, [0.9], labels, keypoints=far), seen) == 0
    assert average_precision(seen, seen) == 1


def test_keypoint_similarity_by_hand():
    reference, found = torch.zeros(1, 17, 3), torch.zeros(1, 17, 3)
    found[0, 0, 0] = 3.0
    similarity = keypoint_similarities(found, reference, torch.tensor([[0.0, 0, 10, 20]]))
    expected = (16 + np.exp(-9 / (2 * (2 * 0.026) ** 2 * 0.53 * 200))) / 17
    assert similarity.item() == pytest.approx(expected)


class ShiftedBox:
    """Its one box lies where the mean of the features says."""

    name, task = "shifted", "detection"

    def predict(self, features, prepared):
        shift = sum(float(feature.mean()) for feature in features)
        return detections([[shift, 0, shift + 10, 10]], [0.9], [0])


class FakePrecoded:
    points = (0, 1, 9)

    def decode(self, image_id, scale, point, like):
        return like + point * (scale + 1)


def test_the_drop_grows_with_the_damage():
    losses = agreement_losses(ShiftedBox(), [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)], None, 3, FakePrecoded())
    drops = losses.pivot(index="scale", columns="point", values="loss").to_numpy()
    np.testing.assert_allclose(drops, [[0, 0.3, 1], [0, 0.6, 1]], atol=1e-9)
    network = ShiftedBox()
    network.task = "classification"
    with pytest.raises(ConfigurationError, match="use lossless"):
        agreement_losses(network, [], None, 3, FakePrecoded())
