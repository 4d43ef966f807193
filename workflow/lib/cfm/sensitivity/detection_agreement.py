"""How far the heads' detections agree with those of the lossless features: average precision without labels.

The lossless detections take the place of the ground truth; those below a score are matched but do not count, so that a
weak detection that comes back is no false alarm. The match is COCO's: 10 thresholds of similarity from 0.50 to 0.95,
the precision interpolated at 101 recalls, the mean over the classes that the lossless detections show. Similarity is
the IoU of masks where the task has them, the object keypoint similarity where it has keypoints, else the IoU of boxes.
METHODS §3, "AP drops against the uncompressed detections".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchvision.ops import box_iou

from cfm.errors import ConfigurationError
from cfm.features.decoding import degraded_pyramids
from cfm.features.precoding import PrecodedScales
from cfm.tasks.contract import TaskNetwork

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MINIMUM_SCORE = 0.3
KEYPOINT_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
PERSON_AREA = 0.53  # share of its box that a person covers, for lossless detections, which have no outline


def agreement_losses(
    network: TaskNetwork, features: list[Tensor], prepared: Any, image_id: int, precoded: PrecodedScales
) -> pd.DataFrame:
    """The drop of the average precision when one scale of a picture is decoded and the others are lossless.

    Arguments and result are those of `cfm.sensitivity.mfip.scale_losses`; the one part is "ap_drop", in [0, 1].

    Raises
    ------
    ConfigurationError
        If the task has no boxes.
    """
    if network.task == "classification":
        raise ConfigurationError("importance.reference: classification has no detections to compare; use lossless")
    rows = []
    with torch.no_grad():
        reference = network.predict(features, prepared)
        for scale, point, degraded in degraded_pyramids(features, image_id, precoded):
            agreement = average_precision(network.predict(degraded, prepared), reference)
            rows.append((image_id, scale, point, "ap_drop", 1 - agreement))
    return pd.DataFrame(rows, columns=["image_id", "scale", "point", "part", "loss"])


def average_precision(
    found: Mapping[str, Tensor], reference: Mapping[str, Tensor], minimum_score: float = MINIMUM_SCORE
) -> float:
    """COCO's average precision of one picture's detections, with other detections as the truth.

    Parameters
    ----------
    found, reference : mapping
        As `network.predict` gives them: boxes (n, 4), scores (n,), labels (n,), perhaps masks or keypoints.
    minimum_score : float
        Reference detections below it do not count.

    Returns
    -------
    float
        In [0, 1]; 1 where no reference detection counts.
    """
    similarity = similarities(found, reference)
    scores, labels, known = (values.cpu().numpy() for values in (found["scores"], found["labels"], reference["labels"]))
    counted = reference["scores"].cpu().numpy() >= minimum_score
    precisions = []
    for label in np.unique(known[counted]):
        truth = np.flatnonzero(known == label)
        truth = truth[np.argsort(~counted[truth], kind="stable")]
        candidates = np.flatnonzero(labels == label)
        candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
        table = similarity[np.ix_(candidates, truth)]
        precisions.append(np.mean([_precision(table, counted[truth], threshold) for threshold in THRESHOLDS]))
    return float(np.mean(precisions)) if precisions else 1.0


def _precision(similarity: np.ndarray, counted: np.ndarray, threshold: float) -> float:
    """Interpolated precision of one class; rows are candidates by falling score, counted columns come first."""
    free = np.ones(len(counted), bool)
    hits = []
    for row in similarity:
        open_ = np.where(free & (row >= threshold), row, -1.0)
        best = int(np.argmax(np.where(counted, open_, -1.0))) if (open_[counted] >= 0).any() else int(np.argmax(open_))
        if open_[best] < 0:
            hits.append(False)
            continue
        free[best] = False
        if counted[best]:
            hits.append(True)
    true = np.cumsum(hits)
    if not len(true):
        return 0.0
    recall, precision = true / counted.sum(), true / np.arange(1, len(true) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(recall, RECALLS, side="left")].mean())


def similarities(found: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> np.ndarray:
    """Similarity in [0, 1] of every detection found (rows) with every one of the reference (columns)."""
    if "masks" in found:
        ours, theirs = (side["masks"].flatten(1).float() for side in (found, reference))
        common = ours @ theirs.T
        union = ours.sum(1)[:, None] + theirs.sum(1)[None] - common
        return (common / union.clamp(min=1)).cpu().numpy()
    if "keypoints" in found:
        return keypoint_similarities(found["keypoints"], reference["keypoints"], reference["boxes"])
    return box_iou(found["boxes"].float(), reference["boxes"].float()).cpu().numpy()


def keypoint_similarities(found: Tensor, reference: Tensor, boxes: Tensor) -> np.ndarray:
    """COCO's object keypoint similarity of (n, 17, 3) with (m, 17, 3), whose boxes (m, 4) give their size."""
    ours, theirs = (side[..., :2].double().cpu().numpy() for side in (found, reference))
    left, top, right, bottom = boxes.double().cpu().numpy().T
    area = PERSON_AREA * (right - left) * (bottom - top)
    squared = np.square(ours[:, None] - theirs[None]).sum(-1)
    spread = 2 * np.square(2 * KEYPOINT_SIGMAS) * (area[:, None] + np.spacing(1))
    return np.exp(-squared / spread[None]).mean(-1)
