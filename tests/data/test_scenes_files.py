"""Written data sets: COCO's format as pycocotools reads it, PNG as Pillow reads it, the same bytes everywhere."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

import cfm.data.scenes.write as writing
from cfm.data.scenes.categories import OBJECT_CLASSES, PERSON
from cfm.data.scenes.compose import generate_object, generate_scene
from cfm.data.scenes.png import png_bytes
from cfm.data.scenes.write import write_objects, write_scenes
from cfm.errors import ConfigurationError
from cfm.provenance import sha256_of

GOLDEN = Path(__file__).with_name("golden_scenes.json")
COUNT, SEED, WIDTH, HEIGHT = 3, 5, 161, 130

# Drawn by another interpreter whose numpy may use no vector instructions beyond its baseline.
DRAW_ELSEWHERE = """
import hashlib
from cfm.data.scenes.compose import generate_object, generate_scene
digest = hashlib.sha256()
for index in range(3):
    digest.update(generate_scene(9, "train2017", index, 320, 256).image.tobytes())
    digest.update(generate_object(9, "train", index)[0].tobytes())
print(digest.hexdigest())
"""
VECTOR_FEATURES = "AVX AVX2 FMA3 F16C AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    write_scenes(root, "val2017", COUNT, SEED, WIDTH, HEIGHT)
    return root


@pytest.fixture(scope="module")
def instances(root):
    return COCO(str(root / "annotations/instances_val2017.json"))


def test_every_picture_is_there_and_is_its_scene(root, instances):
    assert sorted(instances.imgs) == [1_000_001, 1_000_002, 1_000_003]
    for index, image in enumerate(instances.dataset["images"]):
        with Image.open(root / "val2017" / image["file_name"]) as picture:
            assert picture.mode == "RGB"
            pixels = np.asarray(picture)
        assert pixels.shape == (image["height"], image["width"], 3)
        np.testing.assert_array_equal(pixels, generate_scene(SEED, "val2017", index, WIDTH, HEIGHT).image)


def test_boxes_and_areas_are_exact_for_the_decoded_masks(instances):
    assert len(instances.anns) == len(instances.dataset["annotations"]) > COUNT
    for annotation in instances.anns.values():
        mask = instances.annToMask(annotation)
        rows, columns = np.nonzero(mask)
        x, y = columns.min(), rows.min()
        assert annotation["bbox"] == [x, y, columns.max() + 1 - x, rows.max() + 1 - y]
        assert annotation["area"] == mask.sum()
        assert annotation["iscrowd"] == 0
        assert annotation["category_id"] in instances.cats


def test_documents_have_cocos_sections(root):
    for kind in ("instances", "person_keypoints"):
        document = json.loads((root / f"annotations/{kind}_val2017.json").read_text())
        assert list(document) == ["info", "licenses", "images", "annotations", "categories"]
        for category in document["categories"]:
            assert {"supercategory", "id", "name"} <= set(category)


def test_persons_are_the_same_in_both_files(root, instances):
    persons = COCO(str(root / "annotations/person_keypoints_val2017.json"))
    assert sorted(persons.imgs) == sorted(instances.imgs)
    (person,) = persons.dataset["categories"]
    assert person["id"] == PERSON
    assert len(person["keypoints"]) == 17
    assert {point for bone in person["skeleton"] for point in bone} == set(range(1, 18))
    assert sorted(persons.anns) == sorted(instances.getAnnIds(catIds=[PERSON]))
    for annotation_id, annotation in persons.anns.items():
        visibility = annotation["keypoints"][2::3]
        assert len(annotation["keypoints"]) == 51
        assert annotation["num_keypoints"] == sum(value > 0 for value in visibility)
        assert annotation["segmentation"] == instances.anns[annotation_id]["segmentation"]


def test_annotations_appear_only_with_all_pictures(tmp_path, monkeypatch):
    def fails_at_two(seed, split, index, width, height):
        if index == 2:
            raise KeyboardInterrupt
        return generate_scene(seed, split, index, width, height)

    monkeypatch.setattr(writing, "generate_scene", fails_at_two)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path, "train2017", 3, SEED, 64, 64)
    assert not (tmp_path / "annotations").exists()
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == ["000000000001.png", "000000000002.png"]


def test_objects_are_laid_out_as_image_folder_reads_them(tmp_path):
    write_objects(tmp_path, "train", 8, SEED, 48)
    folders = sorted(path.name for path in (tmp_path / "train").iterdir())
    assert tuple(folders) == OBJECT_CLASSES
    for index in (1, 7):
        image, label = generate_object(SEED, "train", index, 48)
        with Image.open(tmp_path / "train" / folders[label] / f"{index:06d}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), image)


@pytest.mark.parametrize("count", [0, -1, 1_000_000])
def test_counts_out_of_range_are_refused_before_anything_is_written(tmp_path, count):
    with pytest.raises(ConfigurationError, match=str(count)):
        write_scenes(tmp_path, "train2017", count, 1, 64, 64)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (300, 73, 3)])
def test_png_of_odd_sizes_decodes_to_the_same_pixels(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "picture.png"
    path.write_bytes(png_bytes(image))
    with Image.open(path) as picture:
        picture.verify()
    with Image.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), image)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_png_refuses_other_arrays(image):
    with pytest.raises(ValueError, match="uint8"):
        png_bytes(image)


def digests(root):
    return {str(path.relative_to(root)): sha256_of(path) for path in sorted(root.rglob("*")) if path.is_file()}


def test_golden_bytes(tmp_path):
    """Regenerated with CFM_REGENERATE_GOLDEN=1; a change of them makes trained weights and results stale."""
    write_scenes(tmp_path, "val2017", 2, 7, 320, 256)
    write_objects(tmp_path, "val", 2, 7, 96)
    found = digests(tmp_path)
    if os.environ.get("CFM_REGENERATE_GOLDEN") == "1":
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("disabled", ["", VECTOR_FEATURES])
def test_another_process_with_other_vector_instructions_draws_the_same(disabled):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NPY_DISABLE_CPU_FEATURES": disabled}
    environment["PYTHONHASHSEED"] = "3" if disabled else "4"
    command = [sys.executable, "-W", "ignore", "-c", DRAW_ELSEWHERE]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256()
    for index in range(3):
        digest.update(generate_scene(9, "train2017", index, 320, 256).image.tobytes())
        digest.update(generate_object(9, "train", index)[0].tobytes())
    assert output.strip() == digest.hexdigest()
