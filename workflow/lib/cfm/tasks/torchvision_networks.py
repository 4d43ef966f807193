"""torchvision's own R-CNNs with a feature pyramid, with their published weights or a file's."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import detection as detection_models
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.models._api import WeightsEnum
from torchvision.ops import FrozenBatchNorm2d

from cfm.errors import ConfigurationError, WeightsError
from cfm.tasks.rcnn import RcnnNetwork
from cfm.tasks.weights import apply_weights, read_weights

FAMILIES = {"fasterrcnn": "detection", "maskrcnn": "segmentation", "keypointrcnn": "keypoints"}
PUBLISHED = "DEFAULT"
# torchvision trained these with frozen statistics and no epsilon, and so they must be run to be what was published.
WITHOUT_EPSILON = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.pth$")


def factory(name: str) -> Callable[..., RcnnNetwork]:
    """The factory of a torchvision model; an unknown name raises `ConfigurationError`."""
    known = [n for n in list_models(module=detection_models) if n.split("_")[0] in FAMILIES]
    if name not in known:
        raise ConfigurationError(f"network torchvision:{name}: not known; known: {', '.join(known)}")
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
        state, source = _published(name) if weights == PUBLISHED else _of_file(weights, sha256)
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


def published_weights(name: str) -> WeightsEnum:
    """torchvision's entry for the published weights of a model: it holds their address."""
    return get_model_weights(name).DEFAULT


def _published(name: str) -> tuple[dict[str, Tensor], str]:
    entry = published_weights(name)
    file = entry.url.rsplit("/", 1)[-1]
    try:
        return entry.get_state_dict(progress=True, check_hash=True), file
    except (URLError, OSError) as error:
        raise WeightsError(
            f"{file}: cannot be downloaded ({error}); fetch it elsewhere and give its path as the option weights"
        ) from None
    except RuntimeError as error:
        raise WeightsError(f"{file}: {error}; delete it from torch's hub folder and start again") from None


def _of_file(weights: str, sha256: str | None) -> tuple[dict[str, Tensor], str]:
    named = HASH_IN_NAME.search(Path(weights).name)
    return read_weights(weights, sha256 or (named.group(1) if named else None)), weights
