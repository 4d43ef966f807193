"""What an R-CNN's heads lose on distorted features, against their own outputs on the lossless ones.

Every part is a divergence or distance between two outputs of the same head at the same anchors or regions: 0 where the
features are equal, deterministic, differentiable, and without annotations.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import concat_box_prediction_layers

SMOOTH_L1_BETA = 1 / 9  # torchvision's, in box regression
SURE_SCORE = 0.5
FALLBACK_DETECTIONS = 5


class HeadOutputs(NamedTuple):
    """The heads' raw outputs on one pyramid, at given regions."""

    proposals: Tensor  # (r, 4) boxes of the region proposals, x1 y1 x2 y2, input pixels
    boxes: Tensor  # (n, 4) boxes of the detections that mask and keypoint heads look at, input pixels
    labels: Tensor  # (n,) their labels
    anchor_logits: Tensor  # (a,) objectness of all anchors
    anchor_deltas: Tensor  # (a, 4) their box regression
    class_logits: Tensor  # (r, classes)
    box_deltas: Tensor  # (r, classes, 4)
    mask_logits: Tensor | None  # (n, m, m) for each detection's own label
    keypoint_logits: Tensor | None  # (n, 17, m, m)


def region_proposals(
    model: GeneralizedRCNN, scales: OrderedDict[str, Tensor], tensor: Tensor, input_size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The proposals (r, 4) on a pyramid, and boxes (n, 4) and labels (n,) of its sure detections, in input pixels.

    Sure detections score at least 0.5; where there are none, the five best stand in.
    """
    heads = model.roi_heads
    proposals, _ = model.rpn(ImageList(tensor, [input_size]), scales)
    logits, deltas = heads.box_predictor(heads.box_head(heads.box_roi_pool(scales, proposals, [input_size])))
    boxes, scores, labels = (v[0] for v in heads.postprocess_detections(logits, deltas, proposals, [input_size]))
    kept = int((scores >= SURE_SCORE).sum()) or FALLBACK_DETECTIONS
    return proposals[0], boxes[:kept], labels[:kept]


def head_outputs(
    model: GeneralizedRCNN,
    scales: OrderedDict[str, Tensor],
    input_size: tuple[int, int],
    proposals: Tensor,
    boxes: Tensor,
    labels: Tensor,
) -> HeadOutputs:
    """All heads' raw outputs on a pyramid, at the given proposals and detections (see `HeadOutputs` for shapes)."""
    heads = model.roi_heads
    anchor_logits, anchor_deltas = concat_box_prediction_layers(*model.rpn.head(list(scales.values())))
    class_logits, box_deltas = heads.box_predictor(
        heads.box_head(heads.box_roi_pool(scales, [proposals], [input_size]))
    )
    mask_logits = keypoint_logits = None
    if heads.has_mask():
        pooled = heads.mask_roi_pool(scales, [boxes], [input_size])
        all_logits = heads.mask_predictor(heads.mask_head(pooled))
        mask_logits = all_logits[torch.arange(len(labels), device=labels.device), labels]
    if heads.has_keypoint():
        pooled = heads.keypoint_roi_pool(scales, [boxes], [input_size])
        keypoint_logits = heads.keypoint_predictor(heads.keypoint_head(pooled))
    return HeadOutputs(
        proposals,
        boxes,
        labels,
        anchor_logits.flatten(),
        anchor_deltas,
        class_logits,
        box_deltas.reshape(len(proposals), -1, 4),
        mask_logits,
        keypoint_logits,
    )


def compare_heads(found: HeadOutputs, lossless: HeadOutputs) -> dict[str, Tensor]:
    """The parts of the task loss, each a scalar.

    Parameters
    ----------
    found, lossless : HeadOutputs
        Outputs on the distorted and on the lossless pyramid, at the lossless one's regions.

    Returns
    -------
    dict
        objectness: mean binary divergence over all anchors, nats; rpn_box: smooth L1 of the anchors' regression,
        weighted by the lossless objectness; classification: mean divergence of the class distribution over the
        proposals, nats; box: smooth L1 of the regression for the lossless best class, weighted by one minus the
        probability of background; mask: mean binary divergence over samples, nats; keypoints: mean divergence over
        the heat maps, nats.
    """
    probability = lossless.class_logits.softmax(1)
    best = probability[:, 1:].argmax(1) + 1
    rows = torch.arange(len(best), device=best.device)
    losses = {
        "objectness": binary_divergence(found.anchor_logits, lossless.anchor_logits),
        "rpn_box": weighted_distance(found.anchor_deltas, lossless.anchor_deltas, lossless.anchor_logits.sigmoid()),
        "classification": divergence(found.class_logits, lossless.class_logits),
        "box": weighted_distance(found.box_deltas[rows, best], lossless.box_deltas[rows, best], 1 - probability[:, 0]),
    }
    if found.mask_logits is not None:
        losses["mask"] = binary_divergence(found.mask_logits, lossless.mask_logits)
    if found.keypoint_logits is not None:
        losses["keypoints"] = divergence(found.keypoint_logits.flatten(2), lossless.keypoint_logits.flatten(2))
    return losses


def binary_divergence(logits: Tensor, true_logits: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of Bernoulli distributions given by logits, nats; 0 for no samples."""
    true = true_logits.sigmoid()
    gain = F.logsigmoid(true_logits) - F.logsigmoid(logits)
    rest = F.logsigmoid(-true_logits) - F.logsigmoid(-logits)
    return (true * gain + (1 - true) * rest).sum() / max(logits.numel(), 1)


def divergence(logits: Tensor, true_logits: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of the distributions along the last axis, nats; 0 for no rows."""
    true, found = true_logits.log_softmax(-1), logits.log_softmax(-1)
    rows = max(logits.shape[:-1].numel(), 1)
    return (true.exp() * (true - found)).sum() / rows


def weighted_distance(deltas: Tensor, true_deltas: Tensor, weights: Tensor) -> Tensor:
    """Smooth L1 distance of rows (n, 4), averaged with weights (n,); 0 where all weights are 0."""
    distance = F.smooth_l1_loss(deltas, true_deltas, beta=SMOOTH_L1_BETA, reduction="none").sum(1)
    return (distance * weights).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
