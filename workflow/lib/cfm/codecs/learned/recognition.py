"""Which network a dictionary of tensors is: its family by their names, its sizes by their shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from cfm.codecs.learned.architecture import Architecture
from cfm.errors import ConfigurationError, WeightsError

MARKS = {
    "cheng2020-attn": ("g_a.3.conv_a.0.conv.0.weight", "context_prediction.weight"),
    "elic": ("latent_codec.y.latent_codec.y0.context_prediction.weight",),
    "lic-tcm": ("cc_mean_transforms.0.0.weight",),
}
"""Names that no network of another family has together."""

MOST_CHANNELS = 4096
"""Beyond any network of these families: what claims more would only fill the memory."""


def recognise_family(tensors: Mapping[str, Tensor]) -> str | None:
    """The family whose names a network's tensors have; None where it is none of ours."""
    return next((family for family, marks in MARKS.items() if all(mark in tensors for mark in marks)), None)


def infer_architecture(family: str, tensors: Mapping[str, Tensor], path: Path | str) -> Architecture:
    """The sizes of a network of a family.

    Parameters
    ----------
    family : str
        "cheng2020-attn", "elic" or "lic-tcm".
    tensors : mapping of str to Tensor
        With compressai's names.
    path : path
        Where they are from, for messages.

    Raises
    ------
    WeightsError
        If they are those of another family, lack a tensor that tells a size, or tell sizes that no network has.
    """
    found = recognise_family(tensors)
    if found not in (None, family):
        raise WeightsError(f"{path}: weights of {found}, not of {family}; correct the codec or the path")

    def size(name: str, axis: int = 0) -> int:
        if name not in tensors:
            raise WeightsError(f"{path}: lacks {name}: not weights of {family}; correct the codec or the path")
        shape = tuple(tensors[name].shape)
        if len(shape) <= axis or not 1 <= shape[axis] <= MOST_CHANNELS:
            raise WeightsError(f"{path}: {name} has shape {shape}, as no {family} has; correct the codec or the path")
        return shape[axis]

    sizes = {"cheng2020-attn": _cheng_sizes, "elic": _elic_sizes, "lic-tcm": _tcm_sizes}[family]
    try:
        return Architecture(family, **sizes(size, partial(_count, tensors)))
    except ConfigurationError as error:
        raise WeightsError(f"{path}: {error}: not weights of {family}; correct the codec or the path") from None


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many of the names that a pattern makes of 0, 1, ... are there, up to the first that is not."""
    number = 0
    while pattern.format(number) in tensors:
        number += 1
    return number


def _cheng_sizes(size: Callable[..., int], _: Callable[[str], int]) -> dict[str, Any]:
    return {"channels": size("g_a.0.conv1.weight"), "latent_channels": size("g_a.7.weight")}


def _elic_sizes(size: Callable[..., int], count: Callable[[str], int]) -> dict[str, Any]:
    group = "latent_codec.y.latent_codec.y{}.context_prediction.weight"
    context = "latent_codec.y.channel_context.y1.{}.weight"
    return {
        "channels": size("g_a.0.weight"),
        "latent_channels": size("g_a.13.weight"),
        "groups": tuple(size(group.format(number), 1) for number in range(count(group))),
        "context_channels": (size(context.format(0)), size(context.format(2))),
    }


def _tcm_sizes(size: Callable[..., int], count: Callable[[str], int]) -> dict[str, Any]:
    latent_channels, slices = size("g_a.9.weight"), count("cc_mean_transforms.{}.0.weight")
    return {
        "channels": size("g_a.0.conv1.weight") // 2,
        "latent_channels": latent_channels,
        "groups": (latent_channels // max(slices, 1),) * slices,
        "context_channels": (size("cc_mean_transforms.0.0.weight"), size("cc_mean_transforms.0.2.weight")),
        "hyper_channels": size("h_a.3.weight"),
        "gate_channels": size("atten_mean.0.0.in_conv.weight"),
    }
