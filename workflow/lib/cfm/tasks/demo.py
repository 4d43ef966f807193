"""The demo's task networks, with the weights that this project ships or a run's own."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from cfm.tasks.classifier import ClassifierNetwork
from cfm.tasks.demo_models import CATEGORY_IDS, demo_model
from cfm.tasks.manifest import expected_sha256
from cfm.tasks.rcnn import RcnnNetwork
from cfm.tasks.weights import apply_weights, read_weights

SHIPPED = Path(__file__).parents[3] / "models" / "demo" / "tasks"


def detection(
    device: str = "cpu", weights: str | Path | None = None, sha256: str | None = None, derive_pool: bool = True
) -> RcnnNetwork:
    """Small Faster R-CNN for the scenes' six categories.

    Parameters
    ----------
    device : str
        Where it runs.
    weights : path, optional
        Safetensors; by default the shipped file. A manifest beside it (same name, .json) gives the digest to check.
    sha256 : str, optional
        The digest to check instead.
    derive_pool : bool
        Whether the pooled scale is derived from P5 instead of being one of `features`.
    """
    return RcnnNetwork(
        _loaded("detection", device, weights, sha256),
        "demo-detection",
        "detection",
        CATEGORY_IDS["detection"],
        derive_pool,
    )


def segmentation(
    device: str = "cpu", weights: str | Path | None = None, sha256: str | None = None, derive_pool: bool = True
) -> RcnnNetwork:
    """Small Mask R-CNN for the scenes' six categories; parameters as in `detection`."""
    model = _loaded("segmentation", device, weights, sha256)
    return RcnnNetwork(model, "demo-segmentation", "segmentation", CATEGORY_IDS["segmentation"], derive_pool)


def keypoints(
    device: str = "cpu", weights: str | Path | None = None, sha256: str | None = None, derive_pool: bool = True
) -> RcnnNetwork:
    """Small Keypoint R-CNN for persons; parameters as in `detection`."""
    model = _loaded("keypoints", device, weights, sha256)
    return RcnnNetwork(model, "demo-keypoints", "keypoints", CATEGORY_IDS["keypoints"], derive_pool)


def classification(
    device: str = "cpu", weights: str | Path | None = None, sha256: str | None = None
) -> ClassifierNetwork:
    """Small classifier for the scenes' six categories, one object a picture; parameters as in `detection`.

    Labels count the class folders sorted by name, as `cfm.data.classification` does.
    """
    model = _loaded("classification", device, weights, sha256)
    return ClassifierNetwork(model, "demo-classification", CATEGORY_IDS["classification"])


def _loaded(task: str, device: str, weights: str | Path | None, sha256: str | None) -> nn.Module:
    path = SHIPPED / f"{task}.safetensors" if weights is None else Path(weights)
    state = read_weights(path, sha256 or expected_sha256(path))
    with torch.random.fork_rng(devices=[]):
        model = demo_model(task)
    apply_weights(model, state, path)
    return model.to(device)
