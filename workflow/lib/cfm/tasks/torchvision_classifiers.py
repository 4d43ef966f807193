"""torchvision's residual networks as classifiers of ImageNet's 1,000 classes, split at the outputs of their stages."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.models._api import WeightsEnum
from torchvision.models.resnet import ResNet
from torchvision.transforms import functional
from torchvision.transforms._presets import ImageClassification

from cfm.errors import ConfigurationError
from cfm.tasks.classifier import ClassifierNetwork, PreparedPicture
from cfm.tasks.published_weights import PUBLISHED, fetched, file_name, of_file
from cfm.tasks.weights import apply_weights

NAMES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
STRIDES = (4, 8, 16, 32)
FIRST = "IMAGENET1K_V1"  # the preprocessing that weights of unknown origin are used with: 256 pixels, cut to 224


class ResNetPyramid(nn.Module):
    """A residual network (He et al. 2016) whose pyramid is what its four stages give; the last one is classified.

    Parameters
    ----------
    resnet : ResNet
        torchvision's, as it is.
    """

    def __init__(self, resnet: ResNet):
        super().__init__()
        self.resnet = resnet

    @property
    def head(self) -> nn.Linear:
        """From the mean of the last stage to the logits."""
        return self.resnet.fc

    def pyramid(self, batch: Tensor) -> list[Tensor]:
        """Outputs of layer1 to layer4 for a normalised batch (B, 3, H, W)."""
        net = self.resnet
        scales = [net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(batch)))))]
        for stage in (net.layer2, net.layer3, net.layer4):
            scales.append(stage(scales[-1]))
        return scales

    def logits(self, scales: list[Tensor]) -> Tensor:
        """(B, classes) from the last scale."""
        return self.head(self.resnet.avgpool(scales[-1]).flatten(1))

    def evidence(self, scales: list[Tensor]) -> list[Tensor]:
        """Per scale (B, classes, h, w): class activation maps (Zhou et al. 2016) of the last scale, resized."""
        maps = F.conv2d(scales[-1], self.head.weight[:, :, None, None])
        return [F.interpolate(maps, scale.shape[2:], mode="bilinear") for scale in scales]


class ResNetNetwork(ClassifierNetwork):
    """A `ResNetPyramid` behind the task network contract, with the preprocessing that belongs to its weights.

    Parameters
    ----------
    model : ResNetPyramid
        Is put into evaluation mode and frozen.
    name : str
        Name for tables and files.
    preset : ImageClassification
        torchvision's: the shorter side scaled, the centre cut out, colours normalised.
    """

    def __init__(self, model: ResNetPyramid, name: str, preset: ImageClassification):
        super().__init__(model, name, tuple(range(model.head.out_features)), STRIDES)
        self.preset = preset

    def prepare(self, image: Tensor) -> PreparedPicture:
        """From (3, H, W) RGB float in [0, 1], as the preset does it but in the picture's precision; differentiable."""
        height, width = image.shape[1:]
        preset = self.preset
        scaled = functional.resize(
            image.to(self.device), preset.resize_size, preset.interpolation, antialias=preset.antialias
        )
        cut = functional.center_crop(scaled, preset.crop_size)
        return PreparedPicture(functional.normalize(cut, preset.mean, preset.std)[None], height, width)


def network(
    name: str,
    device: str = "cpu",
    weights: str | None = PUBLISHED,
    sha256: str | None = None,
    version: str | None = None,
    seed: int = 0,
) -> ResNetNetwork:
    """A torchvision residual network, trained on ImageNet: label l is the l-th of its class folders' names, sorted.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    device : str
        Where it runs.
    weights : str or None
        "DEFAULT" for published ones, which are downloaded once and checked against the digest in their name; the path
        of a state dict (.pth, .pt) or safetensors file; None for random ones.
    sha256 : str, optional
        The digest of a file given by path, or its first digits; by default the digits that end torchvision's names.
    version : str, optional
        Which of the published weights, and whose preprocessing: "IMAGENET1K_V1" (256 pixels, cut to 224) or
        "IMAGENET1K_V2". By default torchvision's newest; of a file the version of its name, else the first.
    seed : int
        Of random weights.

    Raises
    ------
    ConfigurationError
        There is no such version.
    WeightsError
        The weights cannot be downloaded, or the file cannot be used.
    """
    entry = published_entry(name, weights, version)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = get_model(name, weights=None)
    if weights is not None:
        state, source = fetched(entry) if weights == PUBLISHED else of_file(weights, sha256)
        apply_weights(model, state, source)
    return ResNetNetwork(ResNetPyramid(model).to(device), name, entry.transforms())


def published_entry(name: str, weights: str | None, version: str | None) -> WeightsEnum:
    """torchvision's entry that says which weights are meant and how pictures are prepared for them."""
    entries = get_model_weights(name)
    if version is not None:
        if version not in entries.__members__:
            known = ", ".join(entry.name for entry in entries)
            raise ConfigurationError(f"network torchvision:{name}: no version {version!r}; known: {known}")
        return entries[version]
    if weights == PUBLISHED:
        return entries.DEFAULT
    by_file = {file_name(entry): entry for entry in entries}
    return by_file.get(Path(weights or "").name, entries[FIRST])
