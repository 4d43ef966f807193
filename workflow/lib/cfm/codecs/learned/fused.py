"""Convolutions that add and activate what they compute while it is in the cache, on a processor.

Residual blocks otherwise spend a quarter of their time on reading and writing tensors that a convolution has just made.
oneDNN has these operators; torch's own compiler uses them too.
"""

from __future__ import annotations

import copy
from functools import partial
from types import MethodType

import torch
from torch import Tensor, nn

from cfm.codecs.learned.backend import AttentionBlock, ResidualBlock, ResidualBottleneckBlock
from cfm.codecs.learned.tcm import MixedBlock


def fuse(module: nn.Module, dtype: torch.dtype) -> None:
    """Replace the forward passes of a network's residual blocks in place, where oneDNN is there.

    For inference: gradients do not flow through what is replaced.
    """
    if not torch.backends.mkldnn.is_available():
        return
    # Plain convolutions find another way where the processor lacks bfloat16, these operators do not.
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    for part in module.modules():
        if isinstance(part, ResidualBottleneckBlock) and isinstance(part.skip, nn.Identity):
            part.forward = MethodType(_bottleneck, part)
        elif isinstance(part, AttentionBlock):
            for unit in (*part.conv_a, *list(part.conv_b)[:-1]):
                unit.forward = MethodType(_attention_unit, unit)
        elif isinstance(part, ResidualBlock) and part.skip is None:
            part.forward = MethodType(_residual_block, part)
        elif isinstance(part, MixedBlock):
            part.halves = [_half(part, first) for first in (True, False)]
            part.forward = MethodType(_mixed_block, part)


def _bottleneck(block: ResidualBottleneckBlock, x: Tensor) -> Tensor:
    inner = _convolve(block.conv2, _convolve(block.conv1, x, "relu"), "relu")
    return _convolve_and_add(block.conv3, inner, x)


def _attention_unit(unit: nn.Module, x: Tensor) -> Tensor:
    first, _, second, _, third = unit.conv
    return _convolve_and_add(third, _convolve(second, _convolve(first, x, "relu"), "relu"), x, "relu")


def _residual_block(block: ResidualBlock, x: Tensor) -> Tensor:
    leaky = partial(_convolve, activation="leaky_relu", scalars=[block.leaky_relu.negative_slope])
    return leaky(block.conv2, leaky(block.conv1, x)).add_(x)


def _half(block: MixedBlock, first: bool) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The 1x1 convolutions into and out of the first or the second half of a mixed block's channels."""
    channels = block.conv1_1.out_channels // 2
    own = slice(None, channels) if first else slice(channels, None)
    into, out_of = copy.deepcopy(block.conv1_1), copy.deepcopy(block.conv1_2)
    into.weight, into.bias = nn.Parameter(into.weight[own].clone(), False), nn.Parameter(into.bias[own].clone(), False)
    out_of.weight = nn.Parameter(out_of.weight[:, own].clone(), False)
    out_of.bias = out_of.bias if first else None
    return into, out_of


def _mixed_block(block: MixedBlock, x: Tensor) -> Tensor:
    """The halves of the channels are computed apart, so that nothing is split or joined by copying."""
    (into_local, from_local), (into_distant, from_distant) = block.halves
    local = into_local(x)
    local = block.conv_block(local).add_(local)
    distant = block.trans_block(into_distant(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return _convolve_and_add(from_distant, distant, _convolve_and_add(from_local, local, x))


def _convolve(convolution: nn.Conv2d, x: Tensor, activation: str, scalars: list[float] | None = None) -> Tensor:
    """A convolution and an activation."""
    return torch.ops.mkldnn._convolution_pointwise(
        x, convolution.weight, convolution.bias, *_geometry(convolution), activation, scalars or [], None
    )


def _convolve_and_add(convolution: nn.Conv2d, x: Tensor, other: Tensor, activation: str | None = None) -> Tensor:
    """A convolution, to which another tensor is added before an activation."""
    return torch.ops.mkldnn._convolution_pointwise.binary(
        x, other, convolution.weight, convolution.bias, *_geometry(convolution), "add", None, activation, [], None
    )


def _geometry(convolution: nn.Conv2d) -> tuple[list[int], list[int], list[int], int]:
    """Padding, stride, dilation and groups as the operators take them."""
    return list(convolution.padding), list(convolution.stride), list(convolution.dilation), convolution.groups
