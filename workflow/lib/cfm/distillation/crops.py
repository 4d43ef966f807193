"""Training windows of annotated pictures: the pixels and the boxes that fall into them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cfm.codecs.learned.sources import PictureCrops
from cfm.data.coco import CocoFolder
from cfm.errors import InputError


class AnnotatedCrop(NamedTuple):
    """A window (3, size, size) of uint8, and boxes (n, 4) x1, y1, x2, y2 in its pixels."""

    picture: np.ndarray
    boxes: np.ndarray


class AnnotatedCrops:
    """Random windows of the annotated pictures of a COCO split, half of them mirrored.

    Parameters
    ----------
    root : Path or str
        A folder in COCO's layout.
    split : str
        Such as "train2017".

    Raises
    ------
    InputError
        If the annotations or pictures cannot be used.
    """

    def __init__(self, root: Path | str, split: str):
        coco = CocoFolder(root, split)
        boxes = {
            image_id: [item["bbox"] for item in coco.annotations_of(image_id) if not item["iscrowd"]]
            for image_id in coco.pictures
        }
        self._boxes = [np.array(found, np.float32) for found in boxes.values() if found]
        if not self._boxes:
            raise InputError(f"{coco.annotation_path}: no picture has objects; distillation needs some")
        self._pictures = PictureCrops([coco.picture_path(image_id) for image_id, found in boxes.items() if found])

    def crop(self, rng: np.random.Generator, size: int) -> AnnotatedCrop:
        """Draw a window; pictures smaller than it are continued by replication."""
        index = int(rng.integers(len(self._boxes)))
        picture = self._pictures.picture(index)
        missing = [(0, 0), *((0, max(0, size - side)) for side in picture.shape[1:])]
        picture = np.pad(picture, missing, mode="edge")
        top, left = (int(rng.integers(side - size + 1)) for side in picture.shape[1:])
        window = picture[:, top : top + size, left : left + size]
        boxes = self._boxes[index]
        boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1) - np.float32([left, top, left, top])
        boxes = np.clip(boxes, 0, size)
        boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
        if rng.integers(2):
            window = window[:, :, ::-1]
            boxes[:, [0, 2]] = size - boxes[:, [2, 0]]
        return AnnotatedCrop(np.ascontiguousarray(window), boxes)
