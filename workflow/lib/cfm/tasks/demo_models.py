"""The demo's models, untrained: torchvision's R-CNN classes on a small pyramid, for 320 x 256 scenes.

The shorter side is scaled to 256 and the longer to at most 320 pixels, so scenes of 320 x 256 stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from cfm.tasks.backbone import small_pyramid
from cfm.tasks.classifier import PyramidClassifier

CATEGORY_IDS = {
    "detection": (0, 1, 3, 13, 37, 44, 85),  # background first, as torchvision's R-CNNs count
    "segmentation": (0, 1, 3, 13, 37, 44, 85),
    "keypoints": (0, 1),
    "classification": (44, 3, 85, 1, 37, 13),  # in the order of the class folders: bottle, car, clock, ...
}


@dataclass(frozen=True)
class ModelSize:
    """Channels of the stages, of the pyramid, of the box head and of the mask or keypoint head; blocks a stage."""

    widths: tuple[int, int, int, int] = (32, 64, 128, 192)
    blocks: tuple[int, int, int, int] = (1, 2, 2, 2)
    pyramid: int = 64
    box_head: int = 256
    region_head: int = 64


class HeatMapPredictor(KeypointRCNNPredictor):
    """torchvision's predictor with its maps contiguous, as its loss needs them when weights lie channels last."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, 14, 14) to logits (n, keypoints, 56, 56)."""
        return super().forward(x).contiguous()


def region_pool(samples: int, side_of_p4: int = 112) -> MultiScaleRoIAlign:
    """Pooling of regions from P2 to P5; those of `side_of_p4` pixels take P4, by default half of the published side."""
    return MultiScaleRoIAlign(["0", "1", "2", "3"], samples, 2, canonical_scale=side_of_p4)


def common_arguments(task: str, size: ModelSize) -> dict[str, Any]:
    """What the three R-CNNs share: input size, anchors, region counts in training and use, and the box head."""
    anchors = AnchorGenerator(((16,), (32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 5)
    return {
        "backbone": small_pyramid(size.widths, size.blocks, size.pyramid),
        "min_size": 256,
        "max_size": 320,
        "rpn_anchor_generator": anchors,
        "rpn_pre_nms_top_n_train": 300,
        "rpn_pre_nms_top_n_test": 200,
        "rpn_post_nms_top_n_train": 300,
        "rpn_post_nms_top_n_test": 150,
        "box_roi_pool": region_pool(7),
        "box_head": TwoMLPHead(size.pyramid * 49, size.box_head),
        "box_predictor": FastRCNNPredictor(size.box_head, len(CATEGORY_IDS[task])),
        "box_batch_size_per_image": 64,
        "box_detections_per_img": 50,
    }


def detection_model(size: ModelSize) -> FasterRCNN:
    """Faster R-CNN (Ren et al. 2015)."""
    return FasterRCNN(**common_arguments("detection", size))


def segmentation_model(size: ModelSize) -> MaskRCNN:
    """Mask R-CNN (He et al. 2017) with a 28 x 28 mask head."""
    return MaskRCNN(
        **common_arguments("segmentation", size),
        mask_roi_pool=region_pool(14),
        mask_head=MaskRCNNHeads(size.pyramid, (size.region_head,) * 3, 1),
        mask_predictor=MaskRCNNPredictor(size.region_head, size.region_head, len(CATEGORY_IDS["segmentation"])),
    )


def keypoints_model(size: ModelSize) -> KeypointRCNN:
    """Keypoint R-CNN (He et al. 2017): persons alone, 17 heat maps of 56 x 56."""
    return KeypointRCNN(
        **common_arguments("keypoints", size),
        keypoint_roi_pool=region_pool(14, 224),  # joints need a finer scale than boxes
        keypoint_head=KeypointRCNNHeads(size.pyramid, (size.region_head,) * 4),
        keypoint_predictor=HeatMapPredictor(size.region_head, 17),
    )


def classification_model(size: ModelSize) -> PyramidClassifier:
    """The same pyramid under a linear classifier of its pooled scales."""
    backbone = small_pyramid(size.widths, size.blocks, size.pyramid)
    return PyramidClassifier(backbone, 4, len(CATEGORY_IDS["classification"]))


MODELS = {
    "detection": detection_model,
    "segmentation": segmentation_model,
    "keypoints": keypoints_model,
    "classification": classification_model,
}


def demo_model(task: str, size: ModelSize | None = None) -> nn.Module:
    """The untrained model of a task, in training mode; its weights come from torch's global generator."""
    return MODELS[task](size or ModelSize())
