"""A small residual network with a feature pyramid, for 320 x 256 pictures on a CPU."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.resnet import BasicBlock

STRIDES = (4, 8, 16, 32)


def residual_stage(in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    """`blocks` basic residual blocks, the first of which subsamples by `stride`."""
    shortcut = None
    if stride != 1 or in_channels != channels:
        shortcut = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
    first = BasicBlock(in_channels, channels, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(channels, channels) for _ in range(blocks - 1)))


def small_pyramid(
    widths: tuple[int, int, int, int] = (32, 64, 128, 192),
    blocks: tuple[int, int, int, int] = (1, 2, 2, 2),
    out_channels: int = 64,
) -> BackboneWithFPN:
    """A residual network (He et al. 2016, basic blocks) under a feature pyramid (Lin et al. 2017).

    Parameters
    ----------
    widths : tuple of int
        Channels of the four stages, at strides 4, 8, 16 and 32.
    blocks : tuple of int
        Basic blocks a stage.
    out_channels : int
        Channels of every scale of the pyramid.

    Returns
    -------
    BackboneWithFPN
        Maps (B, 3, H, W) to an ordered dict of (B, out_channels, H/s, W/s) for s = 4, 8, 16, 32 ("0" to "3") and the
        last one subsampled by 2 ("pool").
    """
    stem = nn.Sequential(
        nn.Conv2d(3, widths[0], 7, 2, 3, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    )
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=stem)
    in_channels = widths[0]
    for index, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        layers[f"stage{index + 1}"] = residual_stage(in_channels, width, count, 1 if index == 0 else 2)
        in_channels = width
    body = nn.Sequential(layers)
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return BackboneWithFPN(body, {f"stage{i + 1}": str(i) for i in range(4)}, list(widths), out_channels)
