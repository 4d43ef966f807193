"""torchvision's own networks by name: R-CNNs with a feature pyramid, and the residual networks that classify."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import nn
from torchvision.models import detection as detection_models
from torchvision.models import get_model, list_models
from torchvision.ops import FrozenBatchNorm2d

from cfm.errors import ConfigurationError
from cfm.tasks import torchvision_classifiers
from cfm.tasks.contract import TaskNetwork
from cfm.tasks.published_weights import PUBLISHED, fetched, of_file, published_weights
from cfm.tasks.rcnn import RcnnNetwork
from cfm.tasks.weights import apply_weights

FAMILIES = {"fasterrcnn": "detection", "maskrcnn": "segmentation", "keypointrcnn": "keypoints"}
# torchvision trained these with frozen statistics and no epsilon, and so they must be run to be what was published.
WITHOUT_EPSILON = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")


def factory(name: str) -> Callable[..., TaskNetwork]:
    """The factory of a torchvision model; an unknown name raises `ConfigurationError`."""
    if name in torchvision_classifiers.NAMES:
        return functools.partial(torchvision_classifiers.network, name)
    known = [n for n in list_models(module=detection_models) if n.split("_")[0] in FAMILIES]
    if name not in known:
        listed = ", ".join((*known, *torchvision_classifiers.NAMES))
        raise ConfigurationError(f"network torchvision:{name}: not known; known: {listed}")
    return functools.partial(network, name)


def network(
    name: str,
    device: str = "cpu",
    weights: str | None = PUBLISHED,
    sha256: str | None = None,
    derive_pool: bool = True,
    seed: int = 0,
) -> RcnnNetwork:
    """A torchvision R-CNN, trained on COCO: labels are COCO's category ids.

    Parameters
    ----------
    name : str
        Of the model, such as "fasterrcnn_resnet50_fpn".
    device : str
        Where it runs.
    weights : str or None
        "DEFAULT" for the published ones, which are downloaded once and checked against the digest in their name; the
        path of a state dict (.pth, .pt) or safetensors file; None for random ones.
    sha256 : str, optional
        The digest of a file given by path, or its first digits; by default the digits that end torchvision's names.
    derive_pool : bool
        Whether the pooled scale is derived from P5 instead of being one of `features`.
    seed : int
        Of random weights.

    Raises
    ------
    WeightsError
        The weights cannot be downloaded, or the file cannot be used.
    """
    task = FAMILIES[name.split("_")[0]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = get_model(name, weights=None, weights_backbone=None)
    if name in WITHOUT_EPSILON:
        freeze_batch_norms(model)
    if weights is not None:
        state, source = fetched(published_weights(name)) if weights == PUBLISHED else of_file(weights, sha256)
        apply_weights(model, state, source)
    classes = 2 if task == "keypoints" else 91
    return RcnnNetwork(model.to(device), name, task, tuple(range(classes)), derive_pool)


def freeze_batch_norms(module: nn.Module) -> None:
    """Replace every batch normalisation by one of fixed statistics without an epsilon."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, eps=0.0))
        else:
            freeze_batch_norms(child)
