"""The families of learned codecs and how a network of each is built from a few numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from cfm.codecs.container import LEARNED_FAMILIES as FAMILIES
from cfm.codecs.learned.backend import (
    Cheng2020Attention,
    CompressionModel,
    Elic2022Chandelier,
    ResidualBlock,
    conv3x3,
)
from cfm.codecs.learned.tcm import GATE_HEAD_WIDTH, HEAD_WIDTHS, HYPER_HEAD_WIDTH, LicTcm
from cfm.errors import ConfigurationError

STRIDES = {"cheng2020-attn": 64, "elic": 64, "lic-tcm": 128}
"""Pictures are padded to a multiple of this many samples: four halvings to the latent, two more to the hyper-latent,
which in LIC-TCM are followed by windows."""

CONTEXT_KERNEL = 5
PAPER_CONTEXT = (224, 128)
TCM_SLICES, TCM_HYPER_CHANNELS, TCM_GATE_CHANNELS = 5, 192, 128


@dataclass(frozen=True)
class Architecture:
    """What must be known to build a network before its weights are loaded.

    Attributes
    ----------
    family : str
        "cheng2020-attn" (Cheng et al. 2020, self-attention variant), "elic" (He et al. 2022, as the public
        re-implementation has it: compressai's `Elic2022Chandelier`) or "lic-tcm" (Liu, Sun, Katto 2023).
    channels : int
        N, the width of the transforms; in LIC-TCM of each half of its blocks.
    latent_channels : int or None
        M, the channels of the latent; None for the papers' (N, and 320 for ELIC and LIC-TCM). A narrow cheng2020 needs
        M > N: with as few latent channels as a small N, not even a lossless latent could hold a picture.
    groups : tuple of int
        Channel groups of ELIC and LIC-TCM, which sum to M. Empty for ELIC's 16, 16, 32, 64, M - 128, or for a third and
        the rest where M is too small for these; for LIC-TCM's five of the same size.
    context_channels : tuple of two int
        Widths of the networks that predict a channel group; empty for both papers' 224 and 128, or for less where
        these outweigh the transforms: 2N and 4N/3 where ELIC's N < 96, 3N and 2N where LIC-TCM's N < 64.
    hyper_channels, gate_channels : int or None
        Of LIC-TCM: channels of the hyper-latent and of the attention in its entropy model; None for the paper's 192 and
        128, or 2N where N < 64.
    """

    family: str
    channels: int = 192
    latent_channels: int | None = None
    groups: tuple[int, ...] = ()
    context_channels: tuple[int, ...] = ()
    hyper_channels: int | None = None
    gate_channels: int | None = None

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ConfigurationError(f"unknown learned codec {self.family!r}; known: {', '.join(FAMILIES)}")
        if self.channels < 2 or self.channels % 2:
            raise ConfigurationError(f"{self.family}: channels must be an even number, not {self.channels}")
        if len(self.context_channels) not in (0, 2):
            raise ConfigurationError(f"{self.family}: context_channels must be two, not {len(self.context_channels)}")
        if self.family != "lic-tcm" and (self.hyper_channels or self.gate_channels):
            raise ConfigurationError(f"{self.family} has neither hyper nor gate channels of its own")
        complete = {"elic": self._complete_elic, "lic-tcm": self._complete_tcm, "cheng2020-attn": self._complete_cheng}
        for name, value in complete[self.family]().items():
            object.__setattr__(self, name, value)

    def _complete_cheng(self) -> dict[str, Any]:
        if self.groups or self.context_channels:
            raise ConfigurationError(f"{self.family} has neither channel groups nor channel-context networks")
        return {"latent_channels": self.latent_channels or self.channels, "groups": (), "context_channels": ()}

    def _complete_elic(self) -> dict[str, Any]:
        latent_channels = self.latent_channels or 320
        small = (latent_channels // 3, latent_channels - latent_channels // 3)
        groups = tuple(self.groups) or ((16, 16, 32, 64, latent_channels - 128) if latent_channels > 128 else small)
        if sum(groups) != latent_channels or min(groups) < 1 or len(groups) < 2:
            raise ConfigurationError(f"elic: groups {list(groups)} do not sum to {latent_channels} latent channels")
        context = PAPER_CONTEXT if self.channels >= 96 else (2 * self.channels, 4 * self.channels // 3)
        return {
            "latent_channels": latent_channels,
            "groups": groups,
            "context_channels": tuple(self.context_channels) or context,
        }

    def _complete_tcm(self) -> dict[str, Any]:
        heads = {min(width, self.channels) for width in (*HEAD_WIDTHS, HYPER_HEAD_WIDTH)}
        if any(self.channels % width for width in heads):
            raise ConfigurationError(
                f"lic-tcm: channels must be 8, 16 or a multiple of {HYPER_HEAD_WIDTH}, not {self.channels}"
            )
        latent_channels, small = self.latent_channels or 320, self.channels < 64
        groups = tuple(self.groups) or (latent_channels // TCM_SLICES,) * TCM_SLICES
        if sum(groups) != latent_channels or len(set(groups)) != 1:
            raise ConfigurationError(
                f"lic-tcm: groups {list(groups)} are not equal parts of {latent_channels} latent channels"
            )
        gate_channels = self.gate_channels or (2 * self.channels if small else TCM_GATE_CHANNELS)
        if gate_channels % min(GATE_HEAD_WIDTH, gate_channels):
            raise ConfigurationError(
                f"lic-tcm: gate_channels must be a multiple of {GATE_HEAD_WIDTH} or less than it, not {gate_channels}"
            )
        return {
            "latent_channels": latent_channels,
            "groups": groups,
            "context_channels": tuple(self.context_channels)
            or ((3 * self.channels, 2 * self.channels) if small else PAPER_CONTEXT),
            "hyper_channels": self.hyper_channels or (2 * self.channels if small else TCM_HYPER_CHANNELS),
            "gate_channels": gate_channels,
        }

    @property
    def stride(self) -> int:
        """What the sides of a padded picture are multiples of."""
        return STRIDES[self.family]

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them, without those that the family does not have."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def build_model(architecture: Architecture) -> CompressionModel:
    """Build an untrained network; its initial weights come from torch's global generator.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    CompressionModel
        `forward` takes (B, 3, H, W) in [0, 1], H and W multiples of the architecture's `stride`.
    """
    if architecture.family == "cheng2020-attn":
        return _cheng(architecture.channels, architecture.latent_channels)
    if architecture.family == "lic-tcm":
        return LicTcm(
            architecture.channels,
            architecture.latent_channels,
            len(architecture.groups),
            architecture.hyper_channels,
            architecture.gate_channels,
            architecture.context_channels,
        )
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
