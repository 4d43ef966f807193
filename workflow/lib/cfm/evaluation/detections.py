"""One flat table of what a task network found: detections, with masks or keypoints, and classifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pycocotools import mask as coco_mask

from cfm.reporting.tables import PANDAS_TYPES, load_schema

CORE_COLUMNS = ["image_id", "category_id", "score", "x", "y", "w", "h"]
MASK_COLUMNS = ["rle", "height", "width"]
KEYPOINT_COLUMNS = ["keypoints"]
KEYPOINT_VALUES = 51  # 17 joints of COCO's person, x, y and visibility each


def detections_from_prediction(
    image_id: int,
    prediction: Mapping[str, Any],
    category_ids: Sequence[int],
    top: int = 100,
) -> pd.DataFrame:
    """Rows of the detection table for one picture.

    Parameters
    ----------
    image_id : int
        COCO id of the picture.
    prediction : mapping
        What a task network's `predict` returns: `boxes` (n, 4) x1 y1 x2 y2 in pixels of the original picture, `scores`
        (n,), `labels` (n,) and, where the task has them, `masks` (n, H, W) bool or `keypoints` (n, 17, 3). Tensors or
        arrays.
    category_ids : sequence of int
        Label l means category `category_ids[l]`; see `label_categories`.
    top : int
        At most so many rows, those of the highest scores.

    Returns
    -------
    pandas.DataFrame
        Columns of the schema `detections`: boxes as COCO's x, y, w, h; masks as COCO's compressed run lengths.

    Raises
    ------
    ValueError
        If the parts differ in length, a label has no category or a number is not finite.
    """
    boxes = _array(prediction["boxes"]).astype(np.float64).reshape(-1, 4)
    scores = _array(prediction["scores"]).astype(np.float64).reshape(-1)
    labels = _array(prediction["labels"]).astype(np.int64).reshape(-1)
    if not len(boxes) == len(scores) == len(labels):
        raise ValueError(f"picture {image_id}: {len(boxes)} boxes, {len(scores)} scores and {len(labels)} labels")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(category_ids):
        raise ValueError(f"picture {image_id}: a label outside the {len(category_ids)} categories")
    order = np.argsort(-scores, kind="stable")[:top]
    columns: dict[str, Any] = {
        "image_id": np.full(len(order), image_id, np.int64),
        "category_id": np.asarray(category_ids, np.int32)[labels[order]],
        "score": scores[order].astype(np.float32),
        "x": boxes[order, 0].astype(np.float32),
        "y": boxes[order, 1].astype(np.float32),
        "w": (boxes[order, 2] - boxes[order, 0]).astype(np.float32),
        "h": (boxes[order, 3] - boxes[order, 1]).astype(np.float32),
    }
    for name in ("score", "x", "y", "w", "h"):
        if not np.isfinite(columns[name]).all():
            raise ValueError(f"picture {image_id}: {name} of a detection is not finite")
    if "masks" in prediction:
        columns |= _mask_columns(_array(prediction["masks"])[order])
    if "keypoints" in prediction:
        keypoints = _array(prediction["keypoints"])[order].astype(np.float32).reshape(len(order), KEYPOINT_VALUES)
        if not np.isfinite(keypoints).all():
            raise ValueError(f"picture {image_id}: a keypoint is not finite")
        columns["keypoints"] = pd.Series(list(keypoints), dtype=object)
    return pd.DataFrame(columns)


def _array(values: Any) -> np.ndarray:
    """A numpy array from an array or a tensor on any device, without importing torch."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _mask_columns(masks: np.ndarray) -> dict[str, Any]:
    """Run lengths of masks (n, H, W) bool."""
    encoded = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0), dtype=np.uint8)) if len(masks) else []
    return {
        "rle": pd.Series([run["counts"].decode("ascii") for run in encoded], dtype=object),
        "height": np.full(len(masks), masks.shape[1], np.int32),
        "width": np.full(len(masks), masks.shape[2], np.int32),
    }


def empty_detections(masks: bool = False, keypoints: bool = False) -> pd.DataFrame:
    """A detection table without rows."""
    names = CORE_COLUMNS + MASK_COLUMNS * masks + KEYPOINT_COLUMNS * keypoints
    kinds = {column.name: PANDAS_TYPES[column.dtype][column.nullable] for column in load_schema("detections").columns}
    return pd.DataFrame({name: pd.Series([], dtype=kinds[name]) for name in names})


def gather_detections(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of the pictures' tables in one, in their order; tables without rows are passed over."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else empty_detections()


def label_categories(category_ids: Sequence[int] | None, annotation_category_ids: Iterable[int]) -> tuple[int, ...]:
    """The category id of every label.

    Parameters
    ----------
    category_ids : sequence of int or None
        The network's own table. None, as plug-ins have it: labels count the annotation file's sorted category ids.
    annotation_category_ids : iterable of int
        Category ids of the annotation file.
    """
    return tuple(sorted(annotation_category_ids)) if category_ids is None else tuple(category_ids)


def classification_from_prediction(image_id: int, prediction: Mapping[str, Any]) -> pd.DataFrame:
    """The best label of one picture: a row of the schema `classifications`.

    Parameters
    ----------
    image_id : int
        Id of the picture.
    prediction : mapping
        `scores` (k,), probabilities, and `labels` (k,).

    Raises
    ------
    ValueError
        If there are no scores, or as many labels as scores are not there.
    """
    scores, labels = _array(prediction["scores"]).reshape(-1), _array(prediction["labels"]).reshape(-1)
    if not len(scores) or len(scores) != len(labels):
        raise ValueError(f"picture {image_id}: {len(scores)} scores and {len(labels)} labels")
    best = int(np.argmax(scores))
    return pd.DataFrame(
        {
            "image_id": np.array([image_id], np.int64),
            "label": np.array([labels[best]], np.int32),
            "score": np.array([scores[best]], np.float32),
        }
    )


def to_coco_results(detections: pd.DataFrame, kind: str) -> list[dict[str, Any]]:
    """The rows as pycocotools' `loadRes` takes them.

    Parameters
    ----------
    detections : pandas.DataFrame
        Rows of the schema `detections`.
    kind : {"bbox", "segm", "keypoints"}
        What is scored; "segm" needs the column `rle`, "keypoints" the column `keypoints`.

    Raises
    ------
    ValueError
        If the table has rows but not the column that `kind` needs.
    """
    needed = {"bbox": [], "segm": MASK_COLUMNS, "keypoints": KEYPOINT_COLUMNS}[kind]
    if len(detections) and not set(needed) <= set(detections.columns):
        raise ValueError(f"a detection table without {needed} cannot be scored as {kind}")
    results = []
    for row in detections.to_dict("records"):
        result = {name: row[name] for name in ("image_id", "category_id", "score")}
        if kind == "bbox":
            result["bbox"] = [float(row[name]) for name in ("x", "y", "w", "h")]
        elif kind == "segm":
            result["segmentation"] = {"size": [int(row["height"]), int(row["width"])], "counts": row["rle"]}
        else:
            result["keypoints"] = [float(value) for value in row["keypoints"]]
        results.append(result)
    return results
