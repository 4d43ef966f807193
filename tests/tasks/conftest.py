"""Two tiny data sets: coloured rectangles in COCO's layout, and one rectangle a picture in one folder a class."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

CATEGORY_COLOURS = {
    1: (255, 0, 0),
    3: (0, 255, 0),
    13: (0, 0, 255),
    37: (255, 255, 0),
    44: (0, 255, 255),
    85: (255, 0, 255),
}
NAMES = {1: "person", 3: "car", 13: "stop sign", 37: "sports ball", 44: "bottle", 85: "clock"}
HEIGHT, WIDTH = 64, 96


def rectangle_scene(index: int, objects: int) -> tuple[np.ndarray, list[dict]]:
    """A picture (64, 96, 3) of rectangles on noise, and its annotations; no two rectangles overlap."""
    rng = np.random.default_rng([9, index])
    picture = rng.integers(0, 100, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    annotations = []
    for number in range(objects):
        category = 1 if number == 0 else int(rng.choice(list(CATEGORY_COLOURS)))
        w, h = (int(v) for v in rng.integers(18, 30, 2))
        x, y = number * WIDTH // objects + int(rng.integers(0, 10)), int(rng.integers(0, HEIGHT - h))
        mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
        mask[y : y + h, x : x + w] = 1
        picture[mask > 0] = CATEGORY_COLOURS[category]
        outline = rle.encode(mask)
        points = [[x + w * (k % 5 + 0.5) / 5, y + h * (k // 5 + 0.5) / 4, 2] for k in range(17)]
        annotations.append(
            {
                "image_id": index + 1,
                "category_id": category,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": 0,
                "segmentation": {"size": outline["size"], "counts": outline["counts"].decode()},
                "keypoints": [value for point in points for value in point],
                "num_keypoints": 17,
            }
        )
    return picture, annotations


@pytest.fixture(scope="session")
def rectangle_scenes(tmp_path_factory) -> Path:
    """Folder in COCO's layout with four training pictures of two rectangles each."""
    root = tmp_path_factory.mktemp("scenes")
    (root / "train2017").mkdir()
    (root / "annotations").mkdir()
    images, annotations = [], []
    for index in range(4):
        picture, found = rectangle_scene(index, 2)
        name = f"{index + 1:012d}.png"
        Image.fromarray(picture).save(root / "train2017" / name)
        images.append({"id": index + 1, "file_name": name, "width": WIDTH, "height": HEIGHT})
        annotations += found
    for number, annotation in enumerate(annotations):
        annotation["id"] = number + 1
    categories = [{"id": i, "name": name, "supercategory": "thing"} for i, name in NAMES.items()]
    for kind, kept in (("instances", set(NAMES)), ("person_keypoints", {1})):
        content = {
            "info": {},
            "licenses": [],
            "images": images,
            "annotations": [a for a in annotations if a["category_id"] in kept],
            "categories": [{**c, "keypoints": [], "skeleton": []} for c in categories if c["id"] in kept],
        }
        (root / "annotations" / f"{kind}_train2017.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def rectangle_objects(tmp_path_factory) -> Path:
    """Folder with one sub-folder a class and two pictures (32, 32) in each."""
    root = tmp_path_factory.mktemp("objects")
    for category, name in NAMES.items():
        folder = root / "train2017" / name
        folder.mkdir(parents=True)
        for index in range(2):
            rng = np.random.default_rng([category, index])
            picture = rng.integers(0, 100, (32, 32, 3)).astype(np.uint8)
            picture[8:24, 8:24] = CATEGORY_COLOURS[category]
            Image.fromarray(picture).save(folder / f"{index}.png")
    return root
