"""Folders in COCO's official layout: `annotations/<file>_<split>.json` and pictures under `<split>/`."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from cfm.errors import InputError

ANNOTATION_FILES = {"detection": "instances", "segmentation": "instances", "keypoints": "person_keypoints"}
TASK_KEYS = {"detection": (), "segmentation": ("segmentation",), "keypoints": ("keypoints", "num_keypoints")}
KEYPOINT_VALUES = 51


class CocoPicture(NamedTuple):
    """One entry of `images`: sizes in pixels as declared there."""

    image_id: int
    file_name: str
    width: int
    height: int


class CocoFolder:
    """A split of a data set in COCO's layout, read and checked.

    Parameters
    ----------
    root : path
        The folder that holds `annotations/` and the splits.
    split : str
        Such as "val2017".
    task : str
        "detection", "segmentation" (both read `instances_<split>.json`) or "keypoints"
        (`person_keypoints_<split>.json`).

    Attributes
    ----------
    document : dict
        The annotation file as it was read.
    pictures : dict of int to CocoPicture
        By image id, ascending.
    category_names : dict of int to str
        By category id, ascending.

    Raises
    ------
    InputError
        If the folder or file is missing, is not JSON, lacks keys, repeats an id, or if an annotation names a picture or
        category that the file does not hold.
    """

    def __init__(self, root: Path | str, split: str, task: str = "detection"):
        if task not in ANNOTATION_FILES:
            raise ValueError(f"unknown task {task!r}; known: {', '.join(ANNOTATION_FILES)}")
        self.root, self.split, self.task = Path(root), split, task
        self.annotation_path = self.root / "annotations" / f"{ANNOTATION_FILES[task]}_{split}.json"
        self.document = read_document(self.root, self.annotation_path)
        self.pictures = _pictures(self.annotation_path, self.document["images"])
        self.category_names = _categories(self.annotation_path, self.document["categories"])
        self._check_annotations()

    def picture_path(self, image_id: int) -> Path:
        """Where the picture of `image_id` lies."""
        return self.root / self.split / self.pictures[image_id].file_name

    def annotations_of(self, image_id: int) -> list[dict[str, Any]]:
        """The annotations of one picture, in the order of the file."""
        return self._annotations_by_image.get(image_id, [])

    @cached_property
    def _annotations_by_image(self) -> Mapping[int, list[dict[str, Any]]]:
        grouped: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in self.document["annotations"]:
            grouped[annotation["image_id"]].append(annotation)
        return dict(grouped)

    def _check_annotations(self) -> None:
        required = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", *TASK_KEYS[self.task])
        path, seen = self.annotation_path, set()
        for index, annotation in enumerate(self.document["annotations"]):
            _require(path, "annotations", index, annotation, required)
            name = f"annotation {annotation['id']}"
            if not isinstance(annotation["id"], int) or annotation["id"] in seen:
                raise InputError(f"{path}: {name} has an id that is repeated or not an integer; number them anew")
            seen.add(annotation["id"])
            for key, known in (("image_id", self.pictures), ("category_id", self.category_names)):
                if not isinstance(annotation[key], int) or annotation[key] not in known:
                    raise InputError(
                        f"{path}: {name} names {key} {annotation[key]}, which the file does not hold; "
                        "take the annotation out or add what it names"
                    )
            if not _numbers(annotation["bbox"], 4):
                raise InputError(f"{path}: the bbox of {name} is not four finite numbers x, y, w, h; correct it")
            if self.task == "keypoints" and not _numbers(annotation["keypoints"], KEYPOINT_VALUES):
                raise InputError(f"{path}: the keypoints of {name} are not 17 triples x, y, v; correct them")


def read_document(root: Path, path: Path) -> dict[str, Any]:
    """Read an annotation file as JSON with the lists that COCO's format requires.

    Raises
    ------
    InputError
        If the folder or the file is missing, or if the file is not JSON of that form.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name a folder in COCO's layout (annotations/, val2017/, ...)")
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such annotation file; put it there or name another split or folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make it a readable file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); fetch or write the file anew") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise InputError(f"{path}: the list `{key}` is missing; the file must have COCO's format")
    return document


def _pictures(path: Path, images: list[Any]) -> dict[int, CocoPicture]:
    pictures: dict[int, CocoPicture] = {}
    for index, image in enumerate(images):
        _require(path, "images", index, image, ("id", "file_name", "width", "height"))
        picture = CocoPicture(image["id"], image["file_name"], image["width"], image["height"])
        if not all(isinstance(value, int) for value in (picture.image_id, picture.width, picture.height)):
            raise InputError(f"{path}: id, width and height of images[{index}] must be integers; correct them")
        if min(picture.width, picture.height) < 1:
            raise InputError(f"{path}: image {picture.image_id} declares {picture.width}x{picture.height}; correct it")
        if not isinstance(picture.file_name, str) or not _stays_inside(picture.file_name):
            raise InputError(
                f"{path}: file name {picture.file_name!r} of image {picture.image_id} is not one inside the "
                "split's folder; correct it"
            )
        if picture.image_id in pictures:
            raise InputError(f"{path}: image id {picture.image_id} occurs twice; give every picture its own id")
        pictures[picture.image_id] = picture
    return dict(sorted(pictures.items()))


def _categories(path: Path, categories: list[Any]) -> dict[int, str]:
    names: dict[int, str] = {}
    for index, category in enumerate(categories):
        _require(path, "categories", index, category, ("id", "name"))
        if not isinstance(category["id"], int) or category["id"] in names:
            raise InputError(
                f"{path}: category id {category['id']} is repeated or not an integer; give every category its own id"
            )
        names[category["id"]] = category["name"]
    return dict(sorted(names.items()))


def _require(path: Path, section: str, index: int, entry: Any, keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise InputError(f"{path}: {section}[{index}] lacks {', '.join(missing)}; the file must have COCO's format")


def _numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)
    )


def _stays_inside(file_name: str) -> bool:
    pure = PurePosixPath(file_name)
    return bool(file_name) and "\0" not in file_name and not pure.is_absolute() and ".." not in pure.parts
