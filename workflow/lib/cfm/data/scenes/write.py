"""Synthetic data sets on disk: scenes in COCO's layout, single objects in ImageFolder's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as rle

from cfm.data.scenes.categories import (
    CATEGORIES,
    IMAGE_ID_STEP,
    KEYPOINT_NAMES,
    OBJECT_CLASSES,
    PERSON,
    SKELETON,
    split_code,
)
from cfm.data.scenes.compose import Scene, SceneObject, generate_object, generate_scene
from cfm.data.scenes.png import png_bytes
from cfm.errors import ConfigurationError
from cfm.progress import Progress
from cfm.provenance import atomic_path

ANNOTATION_ID_STEP = 100
_DATE = "2026-01-01 00:00:00"


def image_id_of(split: str, index: int) -> int:
    """Picture id of a scene: index + 1 for train, and 1,000,000 more for each of val and test."""
    return split_code(split) * IMAGE_ID_STEP + index + 1


def _write_bytes(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a picture (h, w, 3) uint8 whole or not at all."""
    _write_bytes(path, png_bytes(image))


def _check_count(count: int) -> None:
    if not 0 < count < IMAGE_ID_STEP:
        raise ConfigurationError(f"count {count}: ask for 1 to {IMAGE_ID_STEP - 1} pictures a split")


def _segmentation(mask: np.ndarray) -> dict:
    """COCO's compressed run lengths of a mask (h, w) bool, as JSON holds them."""
    encoded = rle.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def _annotation(thing: SceneObject, annotation_id: int, image_id: int) -> dict:
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": thing.category_id,
        "segmentation": _segmentation(thing.mask),
        "area": thing.area,
        "bbox": list(thing.bbox),
        "iscrowd": 0,
    }


def _keypoint_fields(keypoints: np.ndarray) -> dict:
    """COCO's flat list x1, y1, v1, …, and how many points have v > 0."""
    flat = [int(value) if value == int(value) else float(value) for value in keypoints.ravel()]
    return {"keypoints": flat, "num_keypoints": int(np.count_nonzero(keypoints[:, 2]))}


def scene_annotations(scene: Scene, image_id: int) -> tuple[list[dict], list[dict]]:
    """The annotations of a scene as the instances file and as the person_keypoints file hold them."""
    instances, persons = [], []
    for number, thing in enumerate(scene.objects, start=1):
        annotation = _annotation(thing, image_id * ANNOTATION_ID_STEP + number, image_id)
        instances.append(annotation)
        if thing.keypoints is not None:
            persons.append(annotation | _keypoint_fields(thing.keypoints))
    return instances, persons


def _header(seed: int, split: str) -> dict:
    return {
        "info": {
            "description": f"Synthetic scenes, split {split}, seed {seed}",
            "url": "",
            "version": "1.0",
            "year": 2026,
            "contributor": "cfm.data.scenes",
            "date_created": _DATE[:10].replace("-", "/"),
        },
        "licenses": [{"id": 1, "name": "The licence of this software", "url": ""}],
    }


def _instance_categories() -> list[dict]:
    return [{"supercategory": kind.supercategory, "id": kind.id, "name": kind.name} for kind in CATEGORIES]


def _keypoint_categories() -> list[dict]:
    person = next(entry for entry in _instance_categories() if entry["id"] == PERSON)
    return [person | {"keypoints": list(KEYPOINT_NAMES), "skeleton": [list(bone) for bone in SKELETON]}]


def write_scenes(root: Path, split: str, count: int, seed: int, width: int, height: int) -> None:
    """Write scenes 0 to count - 1 of a split in COCO's layout: pictures, then both annotation files.

    Makes `{split}/{image_id:012d}.png`, `annotations/instances_{split}.json` and
    `annotations/person_keypoints_{split}.json` under `root`. Every file is written whole or not at all, and the
    annotations last: where they are, the pictures are.

    Parameters
    ----------
    root : Path
    split : str
        As in `generate_scene`.
    count, seed : int
    width, height : int
        Pixels.

    Raises
    ------
    ConfigurationError
        For another split, or a count that is not positive or too large for the ids.
    """
    _check_count(count)
    images, instances, persons = [], [], []
    progress = Progress(count, "scenes", f"drawing {split}")
    for index in range(count):
        scene = generate_scene(seed, split, index, width, height)
        image_id = image_id_of(split, index)
        file_name = f"{image_id:012d}.png"
        write_png(Path(root) / split / file_name, scene.image)
        images.append(
            {
                "license": 1,
                "file_name": file_name,
                "height": height,
                "width": width,
                "date_captured": _DATE,
                "id": image_id,
            }
        )
        scene_instances, scene_persons = scene_annotations(scene, image_id)
        instances += scene_instances
        persons += scene_persons
        progress.step()
    start = _header(seed, split) | {"images": images}
    for name, entries, categories in (
        ("person_keypoints", persons, _keypoint_categories()),
        ("instances", instances, _instance_categories()),
    ):
        document = start | {"annotations": entries, "categories": categories}
        _write_bytes(Path(root) / "annotations" / f"{name}_{split}.json", json.dumps(document).encode("ascii"))


def write_objects(root: Path, split: str, count: int, seed: int, size: int) -> None:
    """Write the classification set of a split as `root/split/<category name>/<index>.png`, one object a picture.

    torchvision's ImageFolder gives the labels of `generate_object` if there are at least as many pictures as classes.

    Parameters
    ----------
    root : Path
    split : str
    count, seed : int
    size : int
        Width and height, pixels.

    Raises
    ------
    ConfigurationError
        As `write_scenes`.
    """
    _check_count(count)
    progress = Progress(count, "pictures", f"drawing {split}")
    for index in range(count):
        image, label = generate_object(seed, split, index, size)
        write_png(Path(root) / split / OBJECT_CLASSES[label] / f"{index:06d}.png", image)
        progress.step()
