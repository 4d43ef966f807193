"""A classifier on a feature pyramid: the mean of every scale, then one linear layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cfm.tasks.backbone import STRIDES

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class PyramidClassifier(nn.Module):
    """Class logits = sum over scales of W_i applied to the mean of scale i, plus a bias.

    Parameters
    ----------
    backbone : nn.Module
        With attribute `out_channels`; maps (B, 3, H, W) to an ordered dict of scales, finest first.
    scales : int
        How many of them are read.
    classes : int
        Number of classes.
    """

    def __init__(self, backbone: nn.Module, scales: int, classes: int):
        super().__init__()
        self.backbone, self.scales = backbone, scales
        self.head = nn.Linear(scales * backbone.out_channels, classes)

    def pyramid(self, batch: Tensor) -> list[Tensor]:
        """The scales of a normalised batch (B, 3, H, W), finest first."""
        return list(self.backbone(batch).values())[: self.scales]

    def logits(self, scales: list[Tensor]) -> Tensor:
        """(B, classes) from the pyramid."""
        return self.head(torch.cat([scale.mean((2, 3)) for scale in scales], 1))

    def evidence(self, scales: list[Tensor]) -> list[Tensor]:
        """Per scale (B, classes, h, w): what each sample adds to the logits, times the number of samples."""
        parts = self.head.weight.split(scales[0].shape[1], 1)
        return [F.conv2d(scale, part[:, :, None, None]) for scale, part in zip(scales, parts, strict=True)]


def normalise(pictures: Tensor) -> Tensor:
    """RGB in [0, 1], (..., 3, H, W), to zero mean and unit variance of ImageNet's pictures."""
    mean, std = (torch.tensor(v, dtype=pictures.dtype, device=pictures.device)[:, None, None] for v in (MEAN, STD))
    return (pictures - mean) / std


@dataclass(frozen=True)
class PreparedPicture:
    """A picture as the classifier's input, and its own size in pixels."""

    tensor: Tensor  # (1, 3, H, W), normalised, of a size that the network takes
    height: int
    width: int


class ClassifierNetwork:
    """A `PyramidClassifier` behind the task network contract.

    Parameters
    ----------
    model : PyramidClassifier
        Is put into evaluation mode and frozen.
    name : str
        Name for tables and files.
    category_ids : tuple of int
        Category id of every class.
    strides : tuple of int
        Pixels per feature sample, finest scale first.
    """

    task = "classification"

    def __init__(
        self, model: PyramidClassifier, name: str, category_ids: tuple[int, ...], strides: tuple[int, ...] = STRIDES
    ):
        self.model = model.eval().requires_grad_(False)
        self.name, self.category_ids, self.strides = name, category_ids, strides

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def prepare(self, image: Tensor) -> PreparedPicture:
        """From (3, H, W) RGB float in [0, 1], padded by zeros to multiples of the coarsest stride; differentiable."""
        height, width = image.shape[1:]
        multiple = self.strides[-1]
        padding = (0, -width % multiple, 0, -height % multiple)
        return PreparedPicture(F.pad(normalise(image.to(self.device)), padding)[None], height, width)

    def features(self, prepared: PreparedPicture) -> list[Tensor]:
        """The pyramid, finest scale first: (1, C, h, w) float32; differentiable."""
        return self.model.pyramid(prepared.tensor)

    @torch.no_grad()
    def predict(self, features: list[Tensor], prepared: PreparedPicture) -> dict[str, Tensor]:
        """scores (k,): probabilities of all classes, highest first; labels (k,): their indices."""
        scores, labels = self.model.logits(features)[0].softmax(0).sort(descending=True, stable=True)
        return {"scores": scores, "labels": labels}

    def task_losses(
        self, features: list[Tensor], reference: list[Tensor], prepared: PreparedPicture
    ) -> dict[str, Tensor]:
        """The divergence of the class distribution from that of the lossless features, nats."""
        with torch.no_grad():
            true = self.model.logits(reference).log_softmax(1)
        found = self.model.logits(features).log_softmax(1)
        return {"classification": (true.exp() * (true - found)).sum()}

    def objectness(self, features: list[Tensor]) -> list[Tensor]:
        """Per scale (1, 1, h, w): sigmoid of a sample's evidence for the found class above the others' mean."""
        found = self.model.logits(features)[0].argmax()
        classes = self.model.head.out_features
        maps = []
        for evidence in self.model.evidence(features):
            others = (evidence.sum(1, keepdim=True) - evidence[:, found, None]) / max(classes - 1, 1)
            maps.append((evidence[:, found, None] - others).sigmoid())
        return maps
