"""Subsets: counts, kinds, shards, the same choice for a seed, and annotation files that pycocotools reads."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools.coco import COCO
from scripts.select_subset import annotation_folders, chosen_from

from cfm.data.classification import check_classes, list_classification
from cfm.data.coco import CocoFolder
from cfm.data.subset import choose, select_subset, write_subset_annotations
from cfm.errors import ConfigurationError, InputError

KEYPOINTS = {"keypoints": [0] * 51, "num_keypoints": 0, "segmentation": []}


def entry(identity: int, image_id: int, **changes) -> dict:
    base = {"id": identity, "image_id": image_id, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    return base | KEYPOINTS | changes


@pytest.fixture
def root(tmp_path) -> Path:
    """Twenty pictures 10, 20 ... 200: 10 to 50 annotated, 60 a crowd only, 20 and 40 with labelled keypoints."""
    ids = list(range(10, 201, 10))
    images = [{"id": i, "file_name": f"{i}.png", "width": 32, "height": 16 + i} for i in reversed(ids)]
    annotations = [entry(i, i, num_keypoints=17 * (i in (20, 40))) for i in (10, 20, 30, 40, 50)]
    annotations.append(entry(60, 60, iscrowd=1, num_keypoints=3))
    document = {"info": {"year": 2017}, "images": images, "annotations": annotations}
    document["categories"] = [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}]
    (tmp_path / "annotations").mkdir()
    for name in ("instances", "person_keypoints"):
        (tmp_path / "annotations" / f"{name}_val2017.json").write_text(json.dumps(document))
    return tmp_path


def test_table_of_all(root):
    frame = select_subset(CocoFolder(root, "val2017"), "all", 1, "random", 8)
    assert list(frame.columns) == ["image_id", "file_name", "width", "height", "shard"]
    assert list(frame["image_id"]) == list(range(10, 201, 10))
    assert list(frame["shard"]) == [0] * 8 + [1] * 8 + [2] * 4
    assert frame.iloc[3].to_dict() == {"image_id": 40, "file_name": "40.png", "width": 32, "height": 56, "shard": 0}


def test_the_choice_depends_on_the_seed_alone(root):
    folder = CocoFolder(root, "val2017")
    chosen = select_subset(folder, 6, 20260101, "random", 50)
    pd.testing.assert_frame_equal(chosen, select_subset(CocoFolder(root, "val2017"), 6, 20260101, "random", 50))
    assert list(chosen["image_id"]) == [40, 60, 80, 120, 130, 140]
    assert list(select_subset(folder, 6, 2, "random", 50)["image_id"]) != list(chosen["image_id"])


def test_a_smaller_subset_is_part_of_a_larger_one(root):
    folder = CocoFolder(root, "val2017")
    subsets = [set(select_subset(folder, count, 3, "random", 50)["image_id"]) for count in range(1, 21)]
    assert all(small < large for small, large in pairwise(subsets))


def test_every_picture_is_equally_likely():
    counts = np.zeros(10)
    for seed in range(2000):
        counts[choose(range(10), 3, seed, "here", "random")] += 1
    assert np.abs(counts - 600).max() < 5 * np.sqrt(2000 * 0.3 * 0.7)


@pytest.mark.parametrize(
    ("task", "kind", "expected"),
    [
        ("detection", "annotated", [10, 20, 30, 40, 50]),
        ("keypoints", "annotated", [20, 40]),
        ("keypoints", "person", [20, 40]),
        ("detection", "first", list(range(10, 201, 10))),
    ],
)
def test_kinds(root, task, kind, expected):
    folder = CocoFolder(root, "val2017", task)
    assert list(select_subset(folder, "all", 1, kind, 50)["image_id"]) == expected


def test_first_takes_the_lowest_ids(root):
    assert list(select_subset(CocoFolder(root, "val2017"), 3, 1, "first", 2)["image_id"]) == [10, 20, 30]


@pytest.mark.parametrize(("kind", "count"), [("random", 21), ("annotated", 6), ("random", 0), ("first", 1000)])
def test_too_few_pictures(root, kind, count):
    with pytest.raises(InputError, match="there are") as caught:
        select_subset(CocoFolder(root, "val2017"), count, 1, kind, 50)
    assert "instances_val2017.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_kinds_that_do_not_apply(root):
    folder = CocoFolder(root, "val2017")
    with pytest.raises(ConfigurationError, match="unknown kind of subset 'all'"):
        select_subset(folder, 3, 1, "all", 50)
    with pytest.raises(ConfigurationError, match="needs the task keypoints"):
        select_subset(folder, 3, 1, "person", 50)


def test_annotations_of_a_subset_load_in_pycocotools(root, tmp_path):
    folder, path = CocoFolder(root, "val2017"), tmp_path / "subset.json"
    write_subset_annotations(folder, np.array([60, 20, 70]), path)
    coco = COCO(path)
    assert coco.getImgIds() == [20, 60, 70]
    assert sorted(coco.getAnnIds()) == [20, 60]
    assert coco.getCatIds() == [1, 2]
    assert json.loads(path.read_text())["info"] == {"year": 2017}
    with pytest.raises(InputError, match="holds no image 11"):
        write_subset_annotations(folder, [20, 11], tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()


def test_pictures_that_only_the_base_lists_are_kept_without_annotations(root, tmp_path):
    path = root / "annotations" / "person_keypoints_val2017.json"
    document = json.loads(path.read_text())
    document["images"] = [image for image in document["images"] if image["id"] <= 60]
    path.write_text(json.dumps(document))
    folder, out = CocoFolder(root, "val2017", "keypoints"), tmp_path / "out.json"
    write_subset_annotations(folder, [40, 70], out, base=CocoFolder(root, "val2017"))
    kept = json.loads(out.read_text())
    assert [image["id"] for image in kept["images"]] == [40, 70]
    assert [annotation["id"] for annotation in kept["annotations"]] == [40]


@pytest.fixture
def classes(tmp_path) -> Path:
    for class_name, count in (("kite", 2), ("car", 3)):
        folder = tmp_path / "objects" / "val" / class_name
        folder.mkdir(parents=True)
        (folder / ".hidden.png").write_text("")
        (folder / "notes.txt").write_text("")
        for index in range(count):
            Image.new("L", (16, 16)).save(folder / f"{index}.png")
    return tmp_path / "objects"


def test_class_folders_are_listed_by_name(classes):
    frame = list_classification(classes, "val")
    assert list(frame.columns) == ["image_id", "file_name", "label", "class_name"]
    assert list(frame["file_name"]) == ["car/0.png", "car/1.png", "car/2.png", "kite/0.png", "kite/1.png"]
    assert list(frame["image_id"]) == [1, 2, 3, 4, 5]
    assert list(frame["label"]) == [0, 0, 0, 1, 1]
    given = list_classification(classes, "val", ["person", "kite", "car"])
    assert list(given["label"]) == [2, 2, 2, 1, 1]


def test_faults_of_class_folders(classes):
    with pytest.raises(InputError, match="no such folder"):
        list_classification(classes, "train")
    with pytest.raises(InputError, match=r"val/kite: not one of the network's 1 classes"):
        list_classification(classes, "val", ["car"])
    with pytest.raises(InputError, match="repeat themselves"):
        list_classification(classes, "val", ["car", "kite", "car"])
    (classes / "val" / "bird").mkdir()
    with pytest.raises(InputError, match=r"val/bird: holds no pictures"):
        list_classification(classes, "val")
    (classes / "test").mkdir()
    with pytest.raises(InputError, match="has no class folders"):
        list_classification(classes, "test")


def test_annotation_files_are_read_for_what_the_tasks_ask(root):
    folders = annotation_folders(root, "val2017", ["keypoints", "detection", "segmentation"])
    assert {kind: folder.task for kind, folder in folders.items()} == {
        "instances": "segmentation",
        "person_keypoints": "keypoints",
    }
    assert chosen_from(folders, "person").task == "keypoints"
    assert chosen_from(folders, "random").task == "segmentation"
    assert chosen_from(annotation_folders(root, "val2017", ["keypoints"]), "random").task == "keypoints"


def test_a_classification_set_as_imagenet_has_it(tmp_path):
    for name in ("n02084071", "n01440764", "n01443537"):
        (tmp_path / "val" / name).mkdir(parents=True)
        for suffix in ("JPEG", "jpeg", "JPG", "png", "txt"):
            (tmp_path / "val" / name / f"{name}_1.{suffix}").write_bytes(b"")
    (tmp_path / "val" / "LOC_val_solution.csv").write_bytes(b"")
    frame = list_classification(tmp_path, "val")
    assert len(frame) == 12
    assert "n01440764/n01440764_1.JPEG" in set(frame["file_name"])
    assert frame.drop_duplicates("label").set_index("class_name")["label"].to_dict() == {
        "n01440764": 0,
        "n01443537": 1,
        "n02084071": 2,
    }


def test_class_folders_are_counted(tmp_path):
    for name in ("n01440764", "n01443537", ".cache"):
        (tmp_path / name).mkdir()
    check_classes(tmp_path, 2)
    with pytest.raises(InputError, match="2 class folders, n01440764 to n01443537, where the network knows 3 classes"):
        check_classes(tmp_path, 3)
    with pytest.raises(InputError, match="1000 classes"):
        check_classes(tmp_path, 1000)
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "ILSVRC2012_val_00000001.JPEG").write_bytes(b"")
    with pytest.raises(InputError, match="no class folders; sort the pictures"):
        check_classes(tmp_path / "flat", 1000)
