"""COCO folders: small made-up ones with every kind of fault, and the real one beside the checkout."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cfm.data.checks import check_boxes, check_files, check_pictures
from cfm.data.coco import CocoFolder
from cfm.errors import InputError

COCO_MINI = Path(__file__).resolve().parents[2] / ".." / "shared" / "coco-mini"
needs_coco_mini = pytest.mark.skipif(
    not COCO_MINI.is_dir(), reason="the real pictures (shared/coco-mini beside the checkout) are not here"
)


def annotation(identity: int, image_id: int, **changes) -> dict:
    entry = {"id": identity, "image_id": image_id, "category_id": 1, "bbox": [1, 2, 10, 8], "area": 80, "iscrowd": 0}
    return entry | {"segmentation": [[1, 2, 11, 2, 11, 10]]} | changes


@pytest.fixture
def document() -> dict:
    images = [{"id": i, "file_name": f"{i:012d}.png", "width": 40, "height": 30} for i in (7, 3, 5)]
    return {
        "images": images,
        "annotations": [annotation(1, 3), annotation(2, 7), annotation(3, 3, iscrowd=1)],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    }


def write(root: Path, document, name: str = "instances_val2017") -> Path:
    (root / "annotations").mkdir(exist_ok=True)
    (root / "val2017").mkdir(exist_ok=True)
    path = root / "annotations" / f"{name}.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    if isinstance(document, dict):
        for image in document.get("images", []):
            if isinstance(image, dict) and image.get("file_name") in {f"{i:012d}.png" for i in (3, 5, 7)}:
                Image.new("RGB", (40, 30)).save(root / "val2017" / image["file_name"])
    return path


def test_reads_pictures_categories_and_annotations(tmp_path, document):
    write(tmp_path, document)
    folder = CocoFolder(tmp_path, "val2017")
    assert list(folder.pictures) == [3, 5, 7]
    assert folder.pictures[5] == (5, "000000000005.png", 40, 30)
    assert folder.category_names == {1: "person", 18: "dog"}
    assert [entry["id"] for entry in folder.annotations_of(3)] == [1, 3]
    assert folder.annotations_of(5) == []
    assert folder.picture_path(7) == tmp_path / "val2017" / "000000000007.png"
    check_pictures(folder, [3, 5, 7])


def change(document: dict, section: str, index: int, **changes) -> None:
    document[section][index] |= changes


FAULTS = {
    "no images": (lambda d: d.pop("images"), "the list `images` is missing"),
    "no categories": (lambda d: d.pop("categories"), "the list `categories` is missing"),
    "annotations not a list": (lambda d: d.update(annotations={}), "the list `annotations` is missing"),
    "image without a size": (lambda d: d["images"][1].pop("width"), "images[1] lacks width"),
    "image not a mapping": (lambda d: d["images"].append(4), "images[3] lacks id, file_name, width, height"),
    "image id text": (lambda d: change(d, "images", 0, id="7"), "must be integers"),
    "image id twice": (lambda d: change(d, "images", 0, id=5), "image id 5 occurs twice"),
    "image size zero": (lambda d: change(d, "images", 0, width=0), "image 7 declares 0x30"),
    "file name outside": (lambda d: change(d, "images", 0, file_name="../7.png"), "is not one inside"),
    "file name absolute": (lambda d: change(d, "images", 0, file_name="/etc/7.png"), "is not one inside"),
    "file name empty": (lambda d: change(d, "images", 0, file_name=""), "is not one inside"),
    "annotation of no image": (lambda d: change(d, "annotations", 1, image_id=9), "annotation 2 names image_id 9"),
    "annotation of no category": (lambda d: change(d, "annotations", 0, category_id=2), "names category_id 2"),
    "annotation of a list": (lambda d: change(d, "annotations", 0, image_id=[3]), "names image_id [3]"),
    "annotation id twice": (lambda d: change(d, "annotations", 0, id=2), "annotation 2 has an id that is repeated"),
    "annotation without bbox": (lambda d: d["annotations"][0].pop("bbox"), "annotations[0] lacks bbox"),
    "bbox of three": (lambda d: change(d, "annotations", 0, bbox=[1, 2, 3]), "not four finite numbers"),
    "bbox nan": (lambda d: change(d, "annotations", 0, bbox=[1, 2, 3, float("nan")]), "not four finite numbers"),
    "category twice": (lambda d: change(d, "categories", 0, id=1), "category id 1 is repeated"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_file_are_named_in_one_line(tmp_path, document, fault):
    spoil, expected = FAULTS[fault]
    spoil(document)
    path = write(tmp_path, document)
    with pytest.raises(InputError) as caught:
        CocoFolder(tmp_path, "val2017")
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value), "the cure follows a semicolon"


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"text"', "[" * 100_000, '{"images": [}'])
def test_files_that_are_not_json_of_this_form(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=r"not valid JSON|is missing") as caught:
        CocoFolder(tmp_path, "val2017")
    assert str(path) in str(caught.value)


def test_binary_annotation_file(tmp_path):
    path = write(tmp_path, "{}")
    path.write_bytes(b"\xff\xfe\x00PK")
    with pytest.raises(InputError, match="not valid JSON"):
        CocoFolder(tmp_path, "val2017")


def test_missing_folder_and_file(tmp_path, document):
    with pytest.raises(InputError, match="no such folder"):
        CocoFolder(tmp_path / "absent", "val2017")
    write(tmp_path, document)
    with pytest.raises(InputError, match=r"instances_train2017.json: no such annotation file"):
        CocoFolder(tmp_path, "train2017")
    with pytest.raises(InputError, match=r"person_keypoints_val2017.json: no such annotation file"):
        CocoFolder(tmp_path, "val2017", "keypoints")


def test_tasks_require_their_keys(tmp_path, document):
    del document["annotations"][1]["segmentation"]
    write(tmp_path, document)
    CocoFolder(tmp_path, "val2017", "detection")
    with pytest.raises(InputError, match=r"annotations\[1\] lacks segmentation"):
        CocoFolder(tmp_path, "val2017", "segmentation")
    for entry in document["annotations"]:
        entry |= {"keypoints": [0] * 51, "num_keypoints": 0}
    document["annotations"][1]["keypoints"] = [0] * 50
    write(tmp_path, document, "person_keypoints_val2017")
    with pytest.raises(InputError, match="keypoints of annotation 2 are not 17 triples"):
        CocoFolder(tmp_path, "val2017", "keypoints")


def problem(folder: CocoFolder) -> str:
    with pytest.raises(InputError) as caught:
        check_pictures(folder, list(folder.pictures))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_truncated_and_wrongly_declared_pictures(tmp_path, document):
    document["images"][0]["height"] = 31
    write(tmp_path, document)
    folder = CocoFolder(tmp_path, "val2017")
    message = problem(folder)
    assert "40x30 pixels where instances_val2017.json declares 40x31" in message
    assert "more" not in message
    path = folder.picture_path(3)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    message = problem(folder)
    assert str(path) in message
    assert "replace it with a whole copy" in message
    assert message.endswith("(1 more pictures have problems)")
    path.unlink()
    assert f"{path}: no such picture" in problem(folder)


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ([1, 2, -3, 4], "negative side"),
        ([1, 2, 3, -0.5], "negative side"),
        ([-2.5, 2, 3, 4], "2.5 px outside"),
        ([30, 2, 13, 4], "3 px outside"),
        ([3, 20, 3, 40], "30 px outside"),
    ],
)
def test_boxes_that_cannot_be(tmp_path, document, bbox, expected):
    change(document, "annotations", 1, bbox=bbox)
    path = write(tmp_path, document)
    message = problem(CocoFolder(tmp_path, "val2017"))
    assert expected in message
    assert str(path) in message
    assert "annotation 2" in message
    with pytest.raises(InputError, match=re.escape(message)):
        check_boxes(CocoFolder(tmp_path, "val2017"), [3, 5, 7])


@pytest.mark.parametrize("bbox", [[0, 0, 40, 30], [-1.9, 0, 43, 31.9], [1, 1, 0, 0]])
def test_boxes_that_official_files_hold(tmp_path, document, bbox):
    change(document, "annotations", 1, bbox=bbox)
    write(tmp_path, document)
    check_pictures(CocoFolder(tmp_path, "val2017"), [7])


def test_only_the_chosen_pictures_are_checked(tmp_path, document):
    write(tmp_path, document)
    folder = CocoFolder(tmp_path, "val2017")
    folder.picture_path(3).unlink()
    check_pictures(folder, [5, 7])


def test_minimum_side(tmp_path, document):
    write(tmp_path, document)
    with pytest.raises(InputError, match="smaller than a block of 32x32"):
        check_pictures(CocoFolder(tmp_path, "val2017"), [3], minimum_side=32)


def test_check_files(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path in paths:
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(path)
    check_files(paths)
    paths[1].write_bytes(b"")
    paths[2].unlink()
    with pytest.raises(InputError, match=r"1.png: .* \(1 more pictures have problems\)"):
        check_files(paths)


@needs_coco_mini
@pytest.mark.shared
def test_real_pictures_pass():
    folder = CocoFolder(COCO_MINI, "val2017")
    assert len(folder.pictures) == 120
    assert len(folder.category_names) == 80
    check_pictures(folder, list(folder.pictures))
    keypoints = CocoFolder(COCO_MINI, "train2017", "keypoints")
    assert list(keypoints.category_names.values()) == ["person"]
    check_pictures(keypoints, list(keypoints.pictures)[:5])
