"""Training pictures in memory, and batches of them with flips and changes of light.

What a batch holds depends on the seed and the iteration alone, so a resumed training sees the same as an unbroken one.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as rle
from torch import Tensor

from cfm.data.classification import list_classification
from cfm.data.coco import CocoFolder
from cfm.data.images import read_rgb
from cfm.data.scenes.categories import KEYPOINT_NAMES, OBJECT_CLASSES
from cfm.errors import InputError
from cfm.progress import Progress

MIRRORED = [
    KEYPOINT_NAMES.index(name.replace("left", "x").replace("right", "left").replace("x", "right"))
    for name in KEYPOINT_NAMES
]


class Objects(NamedTuple):
    """The annotated objects of one picture."""

    boxes: Tensor  # (n, 4) float32, x1 y1 x2 y2, pixels
    labels: Tensor  # (n,) int64
    outlines: list[dict]  # compressed run lengths of the masks; empty unless masks are asked for
    keypoints: Tensor | None  # (n, 17, 3) float32, x y visibility


class SceneBatches:
    """Pictures of one size with boxes, and masks or keypoints where the task has them.

    Parameters
    ----------
    root, split : path, str
        A folder in COCO's layout and its split.
    task : str
        "detection", "segmentation" or "keypoints".
    category_ids : tuple of int
        Category id of every label; other categories are left out, and so are pictures without any object.
    """

    def __init__(self, root: Path | str, split: str, task: str, category_ids: tuple[int, ...]):
        folder = CocoFolder(root, split, task)
        labels = {category: label for label, category in enumerate(category_ids)}
        self.task, self.objects = task, []
        pictures = []
        progress = Progress(len(folder.pictures), "pictures", f"reading {split}")
        for image_id in folder.pictures:
            objects = _objects(folder.annotations_of(image_id), labels, task)
            if len(objects.labels):
                pictures.append(read_rgb(folder.picture_path(image_id)))
                self.objects.append(objects)
            progress.step()
        self.pictures = _stacked(pictures, folder.annotation_path)

    def __len__(self) -> int:
        return len(self.objects)

    def batch(
        self, indices: np.ndarray, rng: np.random.Generator, scale: float = 1.0
    ) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Pictures (B, 3, H, W) float32 in [0, 1] and what torchvision's R-CNNs take as targets, at a scale."""
        flips = rng.random(len(indices)) < 0.5
        targets = [self._target(self.objects[index], flip) for index, flip in zip(indices, flips, strict=True)]
        pictures = augmented(self.pictures[indices], flips, rng)
        if scale != 1:
            pictures = F.interpolate(pictures, scale_factor=scale, mode="bilinear", antialias=True)
            targets = [_scaled(target, scale, pictures.shape[2:]) for target in targets]
        return pictures, targets

    def _target(self, objects: Objects, flip: bool) -> dict[str, Tensor]:
        width = self.pictures.shape[3]
        boxes = objects.boxes
        target = {"boxes": _flipped_boxes(boxes, width) if flip else boxes, "labels": objects.labels}
        if self.task == "segmentation":
            masks = torch.from_numpy(rle.decode(objects.outlines)).permute(2, 0, 1)
            target["masks"] = masks.flip(2) if flip else masks
        if self.task == "keypoints":
            target["keypoints"] = _flipped_keypoints(objects.keypoints, width) if flip else objects.keypoints
        return target


class ObjectBatches:
    """Pictures of one object each, in one folder a class.

    Parameters
    ----------
    root, split : path, str
        Pictures are `root/split/<class name>/*`; labels count the scenes' class names, sorted.
    """

    def __init__(self, root: Path | str, split: str):
        table = list_classification(root, split, OBJECT_CLASSES)
        progress = Progress(len(table), "pictures", f"reading {split}")
        pictures = []
        for name in table["file_name"]:
            pictures.append(read_rgb(Path(root) / split / name))
            progress.step()
        self.pictures = _stacked(pictures, Path(root) / split)
        self.labels = torch.tensor(table["label"].to_numpy())

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray, rng: np.random.Generator, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) float32 in [0, 1], at a scale, and labels (B,)."""
        flips = rng.random(len(indices)) < 0.5
        pictures = augmented(self.pictures[indices], flips, rng)
        if scale != 1:
            pictures = F.interpolate(pictures, scale_factor=scale, mode="bilinear", antialias=True)
        return pictures, self.labels[indices]


def batch_indices(iteration: int, batch: int, count: int, seed: int) -> np.ndarray:
    """Which of `count` pictures an iteration takes: epochs are shuffled one by one and run on without a gap."""
    positions = np.arange(iteration * batch, (iteration + 1) * batch)
    orders = {epoch: np.random.default_rng([seed, epoch]).permutation(count) for epoch in set(positions // count)}
    return np.array([orders[position // count][position % count] for position in positions])


def augmented(pictures: Tensor, flips: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Mirror where `flips` says so and change gain, tint and offset: uint8 (B, 3, H, W) to float32 in [0, 1]."""
    count = len(pictures)
    gain = rng.uniform(0.75, 1.25, (count, 1)) * rng.uniform(0.92, 1.08, (count, 3))
    offset = rng.uniform(-0.06, 0.06, (count, 1)) + np.zeros((1, 3))
    gain, offset = (torch.from_numpy(v.astype(np.float32))[:, :, None, None] for v in (gain / 255, offset))
    floats = torch.stack([p.flip(2) if flip else p for p, flip in zip(pictures, flips, strict=True)]).float()
    return (floats * gain + offset).clamp(0, 1)


def _objects(annotations: list[dict], labels: dict[int, int], task: str) -> Objects:
    kept = [
        a
        for a in annotations
        if a["category_id"] in labels and not a.get("iscrowd") and (task != "keypoints" or a["num_keypoints"])
    ]
    corners = torch.tensor([a["bbox"] for a in kept], dtype=torch.float32).reshape(-1, 4)
    return Objects(
        torch.cat([corners[:, :2], corners[:, :2] + corners[:, 2:]], 1),
        torch.tensor([labels[a["category_id"]] for a in kept], dtype=torch.int64),
        [a["segmentation"] for a in kept] if task == "segmentation" else [],
        torch.tensor([a["keypoints"] for a in kept], dtype=torch.float32).reshape(-1, 17, 3)
        if task == "keypoints"
        else None,
    )


def _stacked(pictures: list[np.ndarray], where: Path) -> Tensor:
    """uint8 (n, 3, H, W), channels last in memory."""
    if not pictures:
        raise InputError(f"{where}: has no pictures to train on; make the scenes first")
    if len({picture.shape for picture in pictures}) > 1:
        raise InputError(f"{where}: has pictures of several sizes; training takes scenes of one size")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def _scaled(target: dict[str, Tensor], scale: float, size: tuple[int, int]) -> dict[str, Tensor]:
    """Boxes, masks and keypoints of a picture scaled by `scale` to `size`."""
    scaled = {**target, "boxes": target["boxes"] * scale}
    if "masks" in target:
        scaled["masks"] = F.interpolate(target["masks"][:, None], size, mode="nearest-exact")[:, 0]
    if "keypoints" in target:
        scaled["keypoints"] = target["keypoints"] * torch.tensor([scale, scale, 1.0])
    return scaled


def _flipped_boxes(boxes: Tensor, width: int) -> Tensor:
    return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def _flipped_keypoints(keypoints: Tensor, width: int) -> Tensor:
    """Mirrored, left and right parts exchanged; parts that are not labelled stay (0, 0, 0)."""
    mirrored = keypoints[:, MIRRORED]
    x = torch.where(mirrored[..., 2] > 0, width - mirrored[..., 0], mirrored[..., 0])
    return torch.stack([x, mirrored[..., 1], mirrored[..., 2]], 2)
