"""Fine-tuning of a learned codec so that a frozen network sees the same features (objectness-based distillation)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from cfm.codecs.learned.architecture import Architecture, bits
from cfm.codecs.learned.training import CodecTraining, RateDistortion, initial_model, optimise
from cfm.codecs.learned.weights import save_weights
from cfm.distillation.crops import AnnotatedCrop
from cfm.distillation.losses import (
    WEIGHTINGS,
    box_weights,
    objectness_weights,
    uniform_weights,
    weighted_feature_distortion,
)
from cfm.errors import ConfigurationError
from cfm.tasks.contract import TaskNetwork


class AnnotatedSource(Protocol):
    """Hands out annotated windows."""

    def crop(self, rng: np.random.Generator, size: int) -> AnnotatedCrop:
        """Draw a window of `size` x `size` pixels."""
        ...


def distill_codec(
    network: TaskNetwork,
    weighting: str,
    architecture: Architecture,
    settings: CodecTraining,
    source: AnnotatedSource,
    initial: Path,
    checkpoint: Path,
    weights: Path,
    log: Path,
    device: str = "cpu",
) -> None:
    """Fine-tune a codec on R + lambda * D, D the weighted feature distance of a network (eq. 1 to 4).

    Parameters
    ----------
    network : TaskNetwork
        Frozen: its parameters get no gradient. All its scales count alike.
    weighting : str
        "none" (eq. 2), "ground_truth" or "objectness" (eq. 4: the network's own, of the original picture).
    architecture : Architecture
    settings : CodecTraining
        `lambda_` multiplies D.
    source : AnnotatedSource
        Of windows and their boxes.
    initial : Path
        Weights of the codec that is fine-tuned.
    checkpoint, weights, log : Path
        The state to resume from; the result (safetensors, 16 bit); a table of losses (CSV).
    device : str
        torch's name of it; the network must be there already.

    Raises
    ------
    ConfigurationError
        If the weighting is unknown.
    WeightsError, InputError
        If weights or checkpoint do not fit, or a picture cannot be read.
    """
    if weighting not in WEIGHTINGS:
        raise ConfigurationError(f"unknown weighting {weighting!r}; known: {', '.join(WEIGHTINGS)}")

    def batch_of(rng: np.random.Generator) -> tuple[Tensor, list[Tensor]]:
        crops = [source.crop(rng, settings.crop) for _ in range(settings.batch)]
        pictures = torch.from_numpy(np.stack([crop.picture for crop in crops])).to(device).float() / 255
        return pictures, [torch.from_numpy(crop.boxes).to(device) for crop in crops]

    def judge(output: dict[str, Any], batch: tuple[Tensor, list[Tensor]]) -> RateDistortion:
        pictures, boxes = batch
        rate_bpp = bits(output["likelihoods"]) / (pictures.shape[0] * pictures.shape[2] * pictures.shape[3])
        distances = [
            feature_distance(network, weighting, decoded, picture, picture_boxes)
            for decoded, picture, picture_boxes in zip(output["x_hat"], pictures, boxes, strict=True)
        ]
        distortion = torch.stack(distances).mean()
        return RateDistortion(rate_bpp + settings.lambda_ * distortion, rate_bpp, distortion)

    model = initial_model(architecture, settings.seed, initial).to(device)
    optimise(model, settings, batch_of, judge, checkpoint, log, {"weighting": weighting, "network": network.name})
    save_weights(weights, model, architecture)


def feature_distance(network: TaskNetwork, weighting: str, decoded: Tensor, picture: Tensor, boxes: Tensor) -> Tensor:
    """D between a decoded picture and its original.

    Parameters
    ----------
    network : TaskNetwork
    weighting : str
        One of `WEIGHTINGS`.
    decoded, picture : Tensor (3, H, W)
        In [0, 1]; gradients flow to `decoded` alone.
    boxes : Tensor (n, 4)
        x1, y1, x2, y2, pixels; read by the weighting "ground_truth" alone.

    Returns
    -------
    Tensor
        A scalar.
    """
    with torch.no_grad():
        reference = network.features(network.prepare(picture))
        if weighting == "none":
            weights = uniform_weights(reference)
        elif weighting == "ground_truth":
            weights = box_weights(reference, boxes, *picture.shape[1:])
        else:
            weights = objectness_weights(network.objectness(reference))
    return weighted_feature_distortion(network.features(network.prepare(decoded)), reference, weights)
