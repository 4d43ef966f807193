"""torchvision's R-CNNs (Faster, Mask, Keypoint) behind the task network contract, split at their feature pyramid."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList

from cfm.tasks.rcnn_losses import HeadOutputs, compare_heads, head_outputs, region_proposals

POOLED = "pool"  # torchvision's name of the scale that its pyramids derive from the last one


@dataclass(frozen=True)
class PreparedPicture:
    """A picture at the network's input size, and the sizes it had before (pixels)."""

    tensor: Tensor  # (1, 3, H', W'), normalised, padded to a multiple of the coarsest stride
    input_size: tuple[int, int]  # height and width after scaling, before padding
    original_size: tuple[int, int]  # height and width of the picture


class RcnnNetwork:
    """A torchvision R-CNN with a feature pyramid, split at the pyramid.

    ::

        picture -> scale, normalise, pad -> backbone -> P2 P3 P4 P5 | (P6 = P5 subsampled) -> RPN -> regions -> heads

    Parameters
    ----------
    model : GeneralizedRCNN
        FasterRCNN, MaskRCNN or KeypointRCNN; is put into evaluation mode and frozen.
    name, task : str
        Name for tables and files; "detection", "segmentation" or "keypoints".
    category_ids : tuple of int
        Category id of every label; label 0 is the background.
    derive_pool : bool
        Whether the pooled scale, P5 subsampled by 2, is left out of `features` and derived from P5 where needed.
    """

    def __init__(
        self, model: GeneralizedRCNN, name: str, task: str, category_ids: tuple[int, ...], derive_pool: bool = True
    ):
        self.model = model.eval().requires_grad_(False)
        self.name, self.task, self.category_ids = name, task, category_ids
        side = 8 * model.transform.size_divisible
        with torch.no_grad():
            scales = model.backbone(torch.zeros(1, 3, side, side, device=self.device))
        self.keys = list(scales)
        self.derive_pool = derive_pool and POOLED in self.keys
        strides = tuple(side // scale.shape[3] for scale in scales.values())
        self.strides = strides[:-1] if self.derive_pool else strides
        self._fix_region_scales(scales, side)
        self._last_reference: tuple[list[weakref.ref], PreparedPicture, HeadOutputs] | None = None

    def _fix_region_scales(self, scales: OrderedDict[str, Tensor], side: int) -> None:
        """Let region pooling learn the scales from an exact square, not from whatever picture happens to come first."""
        box = torch.tensor([[0.0, 0.0, side, side]], device=self.device)
        for module in self.model.roi_heads.children():
            if hasattr(module, "featmap_names"):
                module(scales, [box], [(side, side)])

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def prepare(self, image: Tensor) -> PreparedPicture:
        """From (3, H, W) RGB float in [0, 1]: scaled, normalised and padded by the model's own rule; differentiable."""
        images, _ = self.model.transform([image.to(self.device)])
        height, width = image.shape[1:]
        return PreparedPicture(images.tensors, tuple(images.image_sizes[0]), (height, width))

    def features(self, prepared: PreparedPicture) -> list[Tensor]:
        """The pyramid, finest scale first: (1, C, h, w) float32; differentiable."""
        scales = list(self.model.backbone(prepared.tensor).values())
        return scales[:-1] if self.derive_pool else scales

    def named_scales(self, features: list[Tensor]) -> OrderedDict[str, Tensor]:
        """The pyramid as the heads read it, with the pooled scale, by torchvision's names."""
        scales = [*features, F.max_pool2d(features[-1], 1, 2)] if self.derive_pool else features
        return OrderedDict(zip(self.keys, scales, strict=True))

    @torch.no_grad()
    def predict(self, features: list[Tensor], prepared: PreparedPicture) -> dict[str, Tensor]:
        """What the network sees, in pixels of the original picture.

        Returns
        -------
        dict
            boxes (n, 4) as x1, y1, x2, y2; scores (n,); labels (n,); for segmentation masks (n, H, W) bool;
            for keypoints keypoints (n, 17, 3) as x, y, score (the heat map's logit).
        """
        scales = self.named_scales(features)
        images = ImageList(prepared.tensor, [prepared.input_size])
        proposals, _ = self.model.rpn(images, scales)
        detections, _ = self.model.roi_heads(scales, proposals, images.image_sizes)
        found = self.model.transform.postprocess(detections, images.image_sizes, [prepared.original_size])[0]
        result = {key: found[key] for key in ("boxes", "scores", "labels")}
        if self.task == "segmentation":
            result["masks"] = found["masks"][:, 0] >= 0.5
        if self.task == "keypoints":
            result["keypoints"] = torch.cat([found["keypoints"][..., :2], found["keypoints_scores"][..., None]], 2)
        return result

    def objectness(self, features: list[Tensor]) -> list[Tensor]:
        """Per scale (1, 1, h, w): the region proposal network's probability, the highest over the anchors."""
        logits, _ = self.model.rpn.head(features)
        return [scale.amax(1, keepdim=True).sigmoid() for scale in logits]

    def task_losses(
        self, features: list[Tensor], reference: list[Tensor], prepared: PreparedPicture
    ) -> dict[str, Tensor]:
        """How far the heads' outputs move from those of the lossless features, by part; 0 where nothing moved.

        The parts are those of the training loss (Ren et al. 2015; He et al. 2017): objectness, rpn_box,
        classification, box, and mask or keypoints. All anchors count, and the regions are the reference's, so
        nothing is drawn at random and no annotation is used; see `cfm.tasks.rcnn_losses`.
        """
        lossless = self._reference_outputs(reference, prepared)
        found = head_outputs(
            self.model,
            self.named_scales(features),
            prepared.input_size,
            lossless.proposals,
            lossless.boxes,
            lossless.labels,
        )
        return compare_heads(found, lossless)

    def _reference_outputs(self, reference: list[Tensor], prepared: PreparedPicture) -> HeadOutputs:
        """The heads' outputs on the lossless features, kept while the caller asks again with the same tensors."""
        if self._last_reference is not None:
            known, known_prepared, outputs = self._last_reference
            same = len(known) == len(reference) and all(r() is t for r, t in zip(known, reference, strict=True))
            if same and known_prepared is prepared:
                return outputs
        with torch.no_grad():
            scales = self.named_scales([scale.detach() for scale in reference])
            proposals, boxes, labels = region_proposals(self.model, scales, prepared.tensor, prepared.input_size)
            outputs = head_outputs(self.model, scales, prepared.input_size, proposals, boxes, labels)
        self._last_reference = ([weakref.ref(scale) for scale in reference], prepared, outputs)
        return outputs
