"""The families of learned codecs and how a network of each is built from a few numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from cfm.codecs.learned.backend import (
    Cheng2020Attention,
    CompressionModel,
    Elic2022Chandelier,
    ResidualBlock,
    conv3x3,
)
from cfm.errors import ConfigurationError

FAMILIES = ("cheng2020-attn", "elic")
STRIDE = 64
"""Pictures are padded to a multiple of this many samples: four halvings to the latent, two more to the hyper-latent."""

CONTEXT_KERNEL = 5
PAPER_CONTEXT = (224, 128)


@dataclass(frozen=True)
class Architecture:
    """What must be known to build a network before its weights are loaded.

    Attributes
    ----------
    family : str
        "cheng2020-attn" (Cheng et al. 2020, self-attention variant) or "elic" (He et al. 2022, as the public
        re-implementation has it: compressai's `Elic2022Chandelier`).
    channels : int
        N, the width of the transforms.
    latent_channels : int or None
        M, the channels of the latent; None for the papers' (N, and 320 for ELIC). A narrow cheng2020 needs M > N: with
        as few latent channels as a small N, not even a lossless latent could hold a picture.
    groups : tuple of int
        ELIC's channel groups, which sum to M; empty for the paper's 16, 16, 32, 64, M - 128, or for a third and the
        rest where M is too small for these.
    context_channels : tuple of two int
        Widths of ELIC's channel-context networks; empty for the paper's 224 and 128, or 2N and 4N/3 where N < 96.
    """

    family: str
    channels: int = 192
    latent_channels: int | None = None
    groups: tuple[int, ...] = ()
    context_channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ConfigurationError(f"unknown learned codec {self.family!r}; known: {', '.join(FAMILIES)}")
        if self.channels < 2 or self.channels % 2:
            raise ConfigurationError(f"{self.family}: channels must be an even number, not {self.channels}")
        if self.family == "elic":
            self._complete_elic()
        elif self.groups or self.context_channels:
            raise ConfigurationError(f"{self.family} has neither channel groups nor channel-context networks")
        else:
            object.__setattr__(self, "latent_channels", self.latent_channels or self.channels)
            for name in ("groups", "context_channels"):
                object.__setattr__(self, name, ())

    def _complete_elic(self) -> None:
        latent_channels = self.latent_channels or 320
        small = (latent_channels // 3, latent_channels - latent_channels // 3)
        groups = tuple(self.groups) or ((16, 16, 32, 64, latent_channels - 128) if latent_channels > 128 else small)
        if sum(groups) != latent_channels or min(groups) < 1 or len(groups) < 2:
            raise ConfigurationError(f"elic: groups {list(groups)} do not sum to {latent_channels} latent channels")
        context = tuple(self.context_channels) or (
            PAPER_CONTEXT if self.channels >= 96 else (2 * self.channels, 4 * self.channels // 3)
        )
        for name, value in (("latent_channels", latent_channels), ("groups", groups), ("context_channels", context)):
            object.__setattr__(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them."""
        return asdict(self)


def build_model(architecture: Architecture) -> CompressionModel:
    """Build an untrained network; its initial weights come from torch's global generator.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    CompressionModel
        `forward` takes (B, 3, H, W) in [0, 1], H and W multiples of `STRIDE`.
    """
    if architecture.family == "cheng2020-attn":
        return _cheng(architecture.channels, architecture.latent_channels)
    model = Elic2022Chandelier(
        N=architecture.channels, M=architecture.latent_channels, groups=list(architecture.groups)
    )
    if architecture.context_channels != PAPER_CONTEXT:
        _replace_channel_context(model, architecture)
    return model


def _cheng(channels: int, latent_channels: int) -> Cheng2020Attention:
    """compressai's network, with the layers next to the latent rebuilt where M is not N."""
    model = Cheng2020Attention(N=channels)
    if latent_channels == channels:
        return model
    wide = Cheng2020Attention(N=latent_channels)
    model.g_a[-2] = conv3x3(channels, latent_channels, stride=2)
    model.g_a[-1] = wide.g_a[-1]
    model.g_s[0] = wide.g_s[0]
    model.g_s[1] = ResidualBlock(latent_channels, channels)
    model.h_a[0] = conv3x3(latent_channels, channels)
    model.h_s[-1] = conv3x3(channels * 3 // 2, 2 * latent_channels)
    model.entropy_parameters = wide.entropy_parameters
    model.context_prediction = wide.context_prediction
    model.M = latent_channels
    return model


def _replace_channel_context(model: Elic2022Chandelier, architecture: Architecture) -> None:
    """Give ELIC channel-context networks of other widths: at 224 and 128 they outweigh a small codec's transforms."""
    wide, narrow = architecture.context_channels
    context = model.latent_codec.y.channel_context
    for name in list(context):
        first, last = context[name][0], context[name][-1]
        context[name] = nn.Sequential(
            _same_size_convolution(first.in_channels, wide),
            nn.ReLU(inplace=True),
            _same_size_convolution(wide, narrow),
            nn.ReLU(inplace=True),
            _same_size_convolution(narrow, last.out_channels),
        )


def _same_size_convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, CONTEXT_KERNEL, padding=CONTEXT_KERNEL // 2)


def bits(likelihoods: dict[str, torch.Tensor]) -> torch.Tensor:
    """The bits that an ideal entropy coder would need: minus the sum of log2 of the likelihoods, a scalar."""
    return -sum(torch.log2(likelihood).sum() for likelihood in likelihoods.values())
