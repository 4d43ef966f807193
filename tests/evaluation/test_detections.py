"""Detection tables: geometry, category mapping, masks, keypoints, and the way through Parquet."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from cfm.evaluation.detections import (
    classification_from_prediction,
    detections_from_prediction,
    empty_detections,
    gather_detections,
    label_categories,
    to_coco_results,
)
from cfm.reporting.tables import read_table, write_table


def prediction(count=3):
    rng = np.random.default_rng(7)
    corners = rng.uniform(0, 30, (count, 2))
    return {
        "boxes": torch.tensor(np.concatenate([corners, corners + rng.uniform(1, 10, (count, 2))], axis=1)),
        "scores": torch.tensor([0.2, 0.9, 0.5][:count]),
        "labels": torch.tensor([0, 1, 1][:count]),
        "masks": torch.tensor(rng.random((count, 37, 41)) > 0.5),
        "keypoints": torch.tensor(rng.uniform(0, 40, (count, 17, 3)).astype(np.float32)),
    }


def test_boxes_become_xywh_sorted_by_score_with_category_ids():
    found = prediction()
    rows = detections_from_prediction(5, found, (7, 44))
    assert list(rows["category_id"]) == [44, 44, 7]
    np.testing.assert_allclose(rows["score"], [0.9, 0.5, 0.2])
    boxes = found["boxes"].numpy()[[1, 2, 0]]
    np.testing.assert_allclose(rows[["x", "y"]], boxes[:, :2], rtol=1e-6)
    np.testing.assert_allclose(rows[["w", "h"]], boxes[:, 2:] - boxes[:, :2], rtol=1e-5)
    assert len(detections_from_prediction(5, found, (7, 44), top=2)) == 2


def test_masks_and_keypoints_survive_the_file_exactly(tmp_path):
    found = prediction()
    path = tmp_path / "detections.parquet"
    write_table(detections_from_prediction(5, found, (7, 44)), path, "detections")
    rows = read_table(path, "detections")
    for row, source in zip(to_coco_results(rows, "segm"), (1, 2, 0), strict=True):
        np.testing.assert_array_equal(coco_mask.decode(row["segmentation"]), found["masks"][source].numpy())
    for row, source in zip(to_coco_results(rows, "keypoints"), (1, 2, 0), strict=True):
        np.testing.assert_array_equal(row["keypoints"], found["keypoints"][source].numpy().ravel())


@pytest.mark.parametrize("parts", [(), ("masks",), ("keypoints",)])
def test_nothing_found_is_an_empty_table_that_can_be_written(tmp_path, parts):
    found = {name: values for name, values in prediction(0).items() if name in ("boxes", "scores", "labels", *parts)}
    rows = detections_from_prediction(5, found, (7, 44))
    write_table(rows, tmp_path / "t.parquet", "detections")
    assert len(read_table(tmp_path / "t.parquet", "detections")) == 0
    empty = empty_detections(masks="masks" in parts, keypoints="keypoints" in parts)
    assert list(empty.columns) == list(rows.columns)
    assert to_coco_results(empty, "segm") == []


def test_pictures_are_gathered_and_empty_ones_passed_over():
    rows = gather_detections([empty_detections(), detections_from_prediction(5, prediction(), (7, 44))])
    assert list(rows["image_id"]) == [5, 5, 5]
    assert str(rows["category_id"].dtype) == "int32"
    assert len(gather_detections([])) == 0


def test_hostile_predictions_are_refused():
    for part, value in (("scores", torch.ones(2)), ("labels", torch.tensor([0, 1, 2]))):
        with pytest.raises(ValueError, match="picture 5"):
            detections_from_prediction(5, prediction() | {part: value}, (7, 44))
    for part in ("boxes", "scores", "keypoints"):
        broken = prediction()
        broken[part].ravel()[1] = float("nan")
        with pytest.raises(ValueError, match="not finite"):
            detections_from_prediction(5, broken, (7, 44))


def test_labels_of_plug_ins_count_the_sorted_categories():
    assert label_categories(None, [9, 2, 5]) == (2, 5, 9)
    assert label_categories((0, 90), [9]) == (0, 90)


def test_classification_takes_the_most_probable_label():
    row = classification_from_prediction(3, {"scores": torch.tensor([0.2, 0.8]), "labels": torch.tensor([4, 1])})
    assert row.to_dict("records") == [{"image_id": 3, "label": 1, "score": pytest.approx(0.8)}]
    with pytest.raises(ValueError, match="0 scores"):
        classification_from_prediction(3, {"scores": [], "labels": []})


def test_scoring_masks_without_masks_is_refused():
    boxes = {name: prediction()[name] for name in ("boxes", "scores", "labels")}
    with pytest.raises(ValueError, match="cannot be scored as segm"):
        to_coco_results(detections_from_prediction(5, boxes, (7, 44)), "segm")
