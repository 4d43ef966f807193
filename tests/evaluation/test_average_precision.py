"""Average precision against pycocotools itself, on the pictures and on pictures counted several times."""

import contextlib
import io
import json

import numpy as np
import pandas as pd
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cfm.errors import InputError
from cfm.evaluation.average_precision import METRICS, load_annotations, match_detections
from cfm.evaluation.detections import empty_detections, gather_detections, to_coco_results
from cfm.evaluation.top1 import match_classes

SIZE = 256


def ellipse(x, y, w, h):
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    return ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2 <= 1


def run_length(mask):
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def jittered(rng, box, amount):
    x, y, w, h = np.asarray(box) + rng.normal(0, amount, 4) * np.asarray(box)[[2, 3, 2, 3]]
    return [float(x), float(y), float(max(w, 4)), float(max(h, 4))]


def make_scenes(rng, pictures=12, categories=3):
    """Annotations and detections with small to large objects, crowds, misses, duplicates and inventions."""
    annotations, rows = [], []
    for image_id in range(1, pictures + 1):
        for _ in range(rng.integers(1, 6)):
            side = rng.choice([20, 60, 140])
            box = [*rng.uniform(0, SIZE - side, 2), *rng.uniform(0.6 * side, side, 2)]
            joints = np.column_stack(
                [rng.uniform(box[0], box[0] + box[2], 17), rng.uniform(box[1], box[1] + box[3], 17)]
            )
            visible = rng.integers(0, 3, 17)
            category = int(rng.integers(1, categories + 1))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [float(value) for value in box],
                    "segmentation": run_length(ellipse(*box)),
                    "area": float(ellipse(*box).sum()),
                    "iscrowd": int(rng.random() < 0.1),
                    "keypoints": np.column_stack([joints, visible]).ravel().tolist(),
                    "num_keypoints": int((visible > 0).sum()),
                }
            )
            for _ in range(rng.integers(0, 3)):
                guess = jittered(rng, box, 0.08)
                moved = joints + rng.normal(0, 0.03 * side, joints.shape)
                other = int(rng.integers(1, categories + 1))
                rows.append(
                    {
                        "image_id": image_id,
                        "category_id": category if rng.random() < 0.8 else other,
                        "score": np.float32(rng.random()),
                        **dict(zip("xywh", np.float32(guess), strict=True)),
                        "rle": run_length(ellipse(*guess))["counts"],
                        "height": SIZE,
                        "width": SIZE,
                        "keypoints": np.column_stack([moved, np.ones(17)]).ravel().astype(np.float32),
                    }
                )
    dataset = {
        "images": [{"id": number, "width": SIZE, "height": SIZE} for number in range(1, pictures + 1)],
        "categories": [{"id": number, "name": str(number), "keypoints": []} for number in range(1, categories + 2)],
        "annotations": annotations,
    }
    return dataset, pd.DataFrame(rows)


def coco_of(dataset):
    coco = COCO()
    coco.dataset = json.loads(json.dumps(dataset))
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def reference_qualities(dataset, detections, kind, image_ids=None):
    """What pycocotools prints, by its own accumulate and summarize."""
    truth = coco_of(dataset)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(to_coco_results(detections, kind)), kind)
        if image_ids is not None:
            evaluation.params.imgIds = image_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = evaluation.stats[:6] if kind != "keypoints" else [*evaluation.stats[:3], -1, *evaluation.stats[3:5]]
    return dict(zip(METRICS, stats, strict=True))


def same(measured, expected, tolerance=1e-9):
    for metric, value in expected.items():
        if value == -1:
            assert np.isnan(measured[metric]), metric
        else:
            assert measured[metric] == pytest.approx(value, abs=tolerance), metric


def duplicated(dataset, detections, counts):
    """The same pictures, each as often as `counts` says, as new pictures."""
    images, annotations, rows = [], [], []
    for image, count in zip(dataset["images"], counts, strict=True):
        for copy in range(count):
            number = image["id"] * 1000 + copy
            images.append(image | {"id": number})
            for annotation in dataset["annotations"]:
                if annotation["image_id"] == image["id"]:
                    annotations.append(annotation | {"image_id": number, "id": len(annotations) + 1})
            rows.append(detections[detections["image_id"] == image["id"]].assign(image_id=number))
    return dataset | {"images": images, "annotations": annotations}, pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
@pytest.mark.parametrize("seed", [0, 1])
def test_unweighted_equals_pycocotools(kind, seed):
    dataset, detections = make_scenes(np.random.default_rng(seed))
    table = match_detections(coco_of(dataset), detections, kind)
    expected = reference_qualities(dataset, detections, kind)
    assert 0.05 < expected["AP"] < 0.95
    same(table.qualities(), expected)
    same(table.qualities(np.full(12, 2.5)), expected, 1e-6)


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_weights_equal_pycocotools_on_repeated_pictures(kind):
    rng = np.random.default_rng(5)
    dataset, detections = make_scenes(rng)
    table = match_detections(coco_of(dataset), detections, kind)
    for _ in range(3):
        counts = rng.multinomial(12, np.full(12, 1 / 12))
        same(table.qualities(counts), reference_qualities(*duplicated(dataset, detections, counts), kind), 1e-9)


def test_a_subset_of_pictures_is_scored_alone():
    dataset, detections = make_scenes(np.random.default_rng(2))
    chosen = [3, 7, 4, 11]
    expected = reference_qualities(dataset, detections, "bbox", chosen)
    same(match_detections(coco_of(dataset), detections, "bbox", chosen).qualities(), expected)
    weights = np.isin(np.arange(1, 13), chosen)
    same(match_detections(coco_of(dataset), detections, "bbox").qualities(weights), expected)


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_no_detections_score_zero_and_no_annotations_score_nothing(kind, capsys):
    dataset, detections = make_scenes(np.random.default_rng(3))
    for none in (empty_detections(), gather_detections([]), detections[:0]):
        assert match_detections(coco_of(dataset), none, kind).quality("AP") == 0.0
    bare = coco_of(dataset | {"annotations": []})
    assert np.isnan(match_detections(bare, detections, kind).quality("AP"))
    assert np.isnan(match_detections(coco_of(dataset), detections, kind).quality("AP", np.zeros(12)))
    assert capsys.readouterr().out == ""


def test_perfect_detections_score_one():
    dataset, _ = make_scenes(np.random.default_rng(4))
    truth = [annotation for annotation in dataset["annotations"] if not annotation["iscrowd"]]
    perfect = pd.DataFrame(
        [
            {name: annotation[name] for name in ("image_id", "category_id")}
            | dict(zip("xywh", annotation["bbox"], strict=True))
            | {"score": 0.9}
            for annotation in truth
        ]
    )
    table = match_detections(coco_of(dataset), perfect, "bbox")
    assert table.quality("AP") == pytest.approx(1.0)
    assert len(perfect) <= len(dataset["annotations"])


def test_unusable_annotations_are_named_in_one_line(tmp_path):
    dataset, detections = make_scenes(np.random.default_rng(6))
    with pytest.raises(InputError, match=r"picture 99 .*not in the annotations"):
        match_detections(coco_of(dataset), detections, "bbox", [1, 99])
    for annotation in dataset["annotations"]:
        del annotation["num_keypoints"]
    with pytest.raises(InputError, match="num_keypoints"):
        match_detections(coco_of(dataset), detections, "keypoints")
    dataset["annotations"][0]["id"] = 0
    with pytest.raises(InputError, match="id 0"):
        match_detections(coco_of(dataset), detections, "bbox")
    with pytest.raises(InputError, match="no such annotation file"):
        load_annotations(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text('{"images": [')
    with pytest.raises(InputError, match=r"broken\.json: not a COCO"):
        load_annotations(tmp_path / "broken.json")


def test_top1_is_the_weighted_share_of_right_labels():
    truth = pd.DataFrame({"image_id": [3, 1, 2], "label": [0, 1, 2]})
    found = pd.DataFrame({"image_id": [1, 2, 3, 9], "label": [1, 1, 0, 5], "score": 0.5})
    table = match_classes(truth, found)
    assert table.qualities() == {"top1": pytest.approx(2 / 3)}
    assert table.quality("top1", [1, 3, 0]) == pytest.approx(1 / 4)
    with pytest.raises(InputError, match="2 classifications for 3 pictures"):
        match_classes(truth, found[1:])
    with pytest.raises(ValueError, match="no AP"):
        table.quality("AP")
