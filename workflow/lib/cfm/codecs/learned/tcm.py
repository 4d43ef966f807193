"""LIC-TCM: a learned picture codec whose blocks mix convolutions and windowed attention.

Liu, Sun, Katto, "Learned Image Compression with Mixed Transformer-CNN Architectures", CVPR 2023. Modules have the names
of the released checkpoints, so that these load without a mapping.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfm.codecs.learned.backend import (
    AttentionBlock,
    CompressionModel,
    EntropyBottleneck,
    GaussianConditional,
    ResidualBlock,
    ResidualBlockUpsample,
    ResidualBlockWithStride,
    conv1x1,
    conv3x3,
    quantize_ste,
    subpel_conv3x3,
)

BLOCKS = 2
"""Mixed blocks of a stage: the first with plain, the second with shifted windows."""

WINDOW, HYPER_WINDOW = 8, 4
HEAD_WIDTHS = (8, 16, 32, 32, 16, 8)
"""Channels of a head in the three stages of the analysis and the three of the synthesis."""

HYPER_HEAD_WIDTH, GATE_HEAD_WIDTH = 32, 16

PIECE_BYTES = 2**20
"""Of the largest tensor of an attention that is computed at once on a processor: what its cache holds."""

GPU_WINDOWS = 2**14
"""Windows at once on a GPU, whose attention takes a limited number of them."""


class WindowAttention(nn.Module):
    """Self-attention within windows, with a bias for every relative position (section 3.2).

    Parameters
    ----------
    channels, head_width : int
        Channels, and those of one head.
    window : int
        Side of a window.
    shifted : bool
        Whether windows are moved by half a side, around the picture's edges; samples that are no neighbours then do
        not see each other.
    """

    def __init__(self, channels: int, head_width: int, window: int, shifted: bool):
        super().__init__()
        self.head_width, self.window, self.shifted = head_width, window, shifted
        heads = channels // head_width
        self.embedding_layer = nn.Linear(channels, 3 * channels)
        self.relative_position_params = nn.Parameter(torch.empty(heads, 2 * window - 1, 2 * window - 1))
        nn.init.trunc_normal_(self.relative_position_params, std=0.02)
        self.linear = nn.Linear(channels, channels)
        rows, columns = (part.reshape(-1) for part in torch.meshgrid(2 * [torch.arange(window)], indexing="ij"))
        distance = [axis[:, None] - axis[None, :] + window - 1 for axis in (rows, columns)]
        self.register_buffer("_relative_index", distance[0] * (2 * window - 1) + distance[1], persistent=False)
        above, left = rows < window - window // 2, columns < window - window // 2
        self.register_buffer("_across_rows", above[:, None] != above[None, :], persistent=False)
        self.register_buffer("_across_columns", left[:, None] != left[None, :], persistent=False)

    def bias(self, last_row: bool, last_column: bool) -> Tensor:
        """What is added to the likeness of samples (heads, samples of a window, samples of a window).

        Windows in the last row or column hold samples from opposite edges if they are shifted.
        """
        bias = self.relative_position_params.flatten(1)[:, self._relative_index.flatten()]
        bias = bias.unflatten(1, (self.window**2, -1))
        if last_row:
            bias = bias.masked_fill(self._across_rows, -torch.inf)
        if last_column:
            bias = bias.masked_fill(self._across_columns, -torch.inf)
        return bias

    def forward(self, windows: Tensor, bias: Tensor) -> Tensor:
        """Windows (n, samples of a window, C) to the same shape."""
        # (3, n, heads, samples of a window, channels of a head)
        split = self.embedding_layer(windows).unflatten(2, (3, -1, self.head_width)).permute(2, 0, 3, 1, 4)
        return self.linear(_attention(*split, bias).transpose(1, 2).flatten(2))


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attention of (n, heads, samples, channels) under a bias (heads, samples, samples)."""
    if query.device.type != "cpu" and not torch.is_grad_enabled():
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
    # With few channels a head this is twice as fast as torch's fused attention on a processor, and gradients of the
    # fused one on a GPU vary from run to run.
    likeness = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(2, 3)) + bias
    return torch.matmul(torch.softmax(likeness, -1), value)


class TransformerBlock(nn.Module):
    """Attention and a perceptron, each on normalised input and added to it; (B, H, W, C)."""

    def __init__(self, channels: int, head_width: int, window: int, shifted: bool):
        super().__init__()
        self.ln1 = nn.LayerNorm(channels)
        self.msa = WindowAttention(channels, head_width, window, shifted)
        self.ln2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape; H and W are multiples of the window."""
        if torch.is_grad_enabled():
            windows = self._windows(x)
            done = torch.empty_like(windows)
            for chosen, bias in self._groups(windows, *x.shape[1:3]):
                done[chosen] = self._through(windows[chosen], bias)
            return self._joined(done, x.shape)
        tokens = x.reshape(-1, x.shape[3])
        done = torch.empty_like(tokens)
        # Where each window's samples are, so that a piece is read and written once.
        places = self._windows(torch.arange(len(tokens), device=x.device).reshape(*x.shape[:3], 1))[:, :, 0]
        likeness = x.shape[3] // self.msa.head_width * self.msa.window**4 * x.element_size()
        together = max(1, PIECE_BYTES // likeness) if x.device.type == "cpu" else GPU_WINDOWS
        for chosen, bias in self._groups(places, *x.shape[1:3]):
            for piece in places[chosen].split(together):
                flat = piece.flatten()
                part = self._through(tokens.index_select(0, flat).unflatten(0, piece.shape), bias)
                done.index_copy_(0, flat, part.flatten(0, 1))
        return done.reshape(x.shape)

    def _through(self, windows: Tensor, bias: Tensor) -> Tensor:
        """Windows (n, samples, C) through the block."""
        windows = windows + self.msa(self.ln1(windows), bias)
        return windows + self.mlp(self.ln2(windows))

    def _windows(self, x: Tensor) -> Tensor:
        """(B, H, W, C) as windows (n, samples, C), in rows."""
        window = self.msa.window
        if self.msa.shifted:
            x = torch.roll(x, (-(window // 2), -(window // 2)), (1, 2))
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height // window, window, width // window, window, channels)
        return x.transpose(2, 3).reshape(-1, window**2, channels)

    def _joined(self, windows: Tensor, shape: torch.Size) -> Tensor:
        """The way back from `_windows`, to (B, H, W, C)."""
        window = self.msa.window
        batch, height, width, channels = shape
        x = windows.reshape(batch, height // window, width // window, window, window, channels)
        x = x.transpose(2, 3).reshape(shape)
        return torch.roll(x, (window // 2, window // 2), (1, 2)) if self.msa.shifted else x

    def _groups(self, windows: Tensor, height: int, width: int) -> Iterator[tuple[slice | Tensor, Tensor]]:
        """Windows that share a bias, and the bias: all of them, or if shifted those in the last row or column apart."""
        if not self.msa.shifted:
            yield slice(None), self.msa.bias(False, False)
            return
        rows, columns = height // self.msa.window, width // self.msa.window
        number = torch.arange(len(windows), device=windows.device)
        in_last_row, in_last_column = number // columns % rows == rows - 1, number % columns == columns - 1
        for last_row in (False, True):
            for last_column in (False, True):
                chosen = number[(in_last_row == last_row) & (in_last_column == last_column)]
                if len(chosen):
                    yield chosen, self.msa.bias(last_row, last_column)


class MixedBlock(nn.Module):
    """Half of the channels through convolutions, half through attention, joined by 1x1 convolutions (figure 3)."""

    def __init__(self, channels: int, head_width: int, window: int, shifted: bool):
        super().__init__()
        self.trans_block = TransformerBlock(channels, head_width, window, shifted)
        self.conv1_1 = conv1x1(2 * channels, 2 * channels)
        self.conv1_2 = conv1x1(2 * channels, 2 * channels)
        self.conv_block = ResidualBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2C, H, W) to the same shape."""
        local, distant = self.conv1_1(x).chunk(2, 1)
        local = self.conv_block(local) + local
        distant = self.trans_block(distant.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.conv1_2(torch.cat((local, distant), 1))


class WindowPair(nn.Module):
    """A block with plain and one with shifted windows, on (B, C, H, W)."""

    def __init__(self, channels: int, head_width: int, window: int):
        super().__init__()
        self.block_1 = TransformerBlock(channels, head_width, window, False)
        self.block_2 = TransformerBlock(channels, head_width, window, True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return self.block_2(self.block_1(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class AttentionGate(AttentionBlock):
    """What the entropy model knows, gated by attention over a few channels of it (section 3.3)."""

    def __init__(self, channels: int, inner_channels: int):
        super().__init__(N=inner_channels)
        self.non_local_block = WindowPair(inner_channels, min(GATE_HEAD_WIDTH, inner_channels), WINDOW)
        self.in_conv = conv1x1(channels, inner_channels)
        self.out_conv = conv1x1(inner_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        x = self.in_conv(x)
        gate = torch.sigmoid(self.conv_b(self.non_local_block(x)))
        return self.out_conv(self.conv_a(x) * gate + x)


class LicTcm(CompressionModel):
    """LIC-TCM with its entropy model of equal slices of channels, each predicted from those before it.

    ::

        x --g_a--> y --h_a--> z --EntropyBottleneck--> z_hat --h_mean_s, h_scale_s--> hyper-parameters
        slice i of y: mean and scale from atten_*, cc_*_transforms of the hyper-parameters and slices 0 to i - 1
        y_hat_i = round(y_i - mean) + mean + tanh(lrp_transforms) / 2;  y_hat --g_s--> x_hat

    Parameters
    ----------
    channels : int
        N: each half of a mixed block; 64 or 128 as published.
    latent_channels : int
        M.
    slices : int
        Slices of the latent, which divide M.
    hyper_channels : int
        Channels of z.
    gate_channels : int
        Inner channels of the entropy model's attention.
    context_channels : two int
        Inner channels of its other networks.
    """

    def __init__(
        self,
        channels: int = 64,
        latent_channels: int = 320,
        slices: int = 5,
        hyper_channels: int = 192,
        gate_channels: int = 128,
        context_channels: Sequence[int] = (224, 128),
    ):
        super().__init__()
        self.N, self.M, self.slices = channels, latent_channels, slices
        width, share = 2 * channels, latent_channels // slices
        heads = [min(head, channels) for head in HEAD_WIDTHS]
        self.g_a = nn.Sequential(
            ResidualBlockWithStride(3, width, 2),
            *_stage(channels, heads[0]),
            ResidualBlockWithStride(width, width, 2),
            *_stage(channels, heads[1]),
            ResidualBlockWithStride(width, width, 2),
            *_stage(channels, heads[2]),
            conv3x3(width, latent_channels, 2),
        )
        self.g_s = nn.Sequential(
            ResidualBlockUpsample(latent_channels, width, 2),
            *_stage(channels, heads[3]),
            ResidualBlockUpsample(width, width, 2),
            *_stage(channels, heads[4]),
            ResidualBlockUpsample(width, width, 2),
            *_stage(channels, heads[5]),
            subpel_conv3x3(width, 3, 2),
        )
        hyper_head = min(HYPER_HEAD_WIDTH, channels)
        self.h_a = nn.Sequential(
            ResidualBlockWithStride(latent_channels, width, 2),
            *_stage(channels, hyper_head, HYPER_WINDOW),
            conv3x3(width, hyper_channels, 2),
        )
        self.h_mean_s, self.h_scale_s = (
            nn.Sequential(
                ResidualBlockUpsample(hyper_channels, width, 2),
                *_stage(channels, hyper_head, HYPER_WINDOW),
                subpel_conv3x3(width, latent_channels, 2),
            )
            for _ in range(2)
        )
        known = [latent_channels + share * index for index in range(slices + 1)]
        self.atten_mean, self.atten_scale = (
            nn.ModuleList(nn.Sequential(AttentionGate(inputs, gate_channels)) for inputs in known[:-1])
            for _ in range(2)
        )
        self.cc_mean_transforms, self.cc_scale_transforms = (
            nn.ModuleList(_context(inputs, context_channels, share) for inputs in known[:-1]) for _ in range(2)
        )
        self.lrp_transforms = nn.ModuleList(_context(inputs, context_channels, share) for inputs in known[1:])
        self.entropy_bottleneck = EntropyBottleneck(hyper_channels)
        self.gaussian_conditional = GaussianConditional(None)

    def forward(self, x: Tensor) -> dict[str, Any]:
        """(B, 3, H, W) in [0, 1], H and W multiples of 128, to `x_hat` and the `likelihoods` of y and z."""
        latent = self.g_a(x)
        hyper_latent = self.h_a(latent)
        _, hyper_likelihoods = self.entropy_bottleneck(hyper_latent)
        medians = self.entropy_bottleneck._get_medians().reshape(1, -1, 1, 1)
        decoded = quantize_ste(hyper_latent - medians) + medians
        hyper_parameters = self.h_mean_s(decoded), self.h_scale_s(decoded)
        likelihoods, known = [], []
        for index, part in enumerate(latent.chunk(self.slices, 1)):
            mean, scale, support = self.predict(index, *hyper_parameters, known)
            likelihoods.append(self.gaussian_conditional(part, scale, mean)[1])
            quantised = quantize_ste(part - mean) + mean
            known.append(quantised + self.residual(index, support, quantised))
        return {
            "x_hat": self.g_s(torch.cat(known, 1)),
            "likelihoods": {"y": torch.cat(likelihoods, 1), "z": hyper_likelihoods},
        }

    def predict(
        self, index: int, hyper_means: Tensor, hyper_scales: Tensor, known: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and scale of a slice (B, M / slices, h, w), and what `residual` needs, from the slices before it."""
        support = self.atten_mean[index](torch.cat([hyper_means, *known], 1))
        mean = self.cc_mean_transforms[index](support)
        scale = self.cc_scale_transforms[index](self.atten_scale[index](torch.cat([hyper_scales, *known], 1)))
        return mean, scale, support

    def residual(self, index: int, support: Tensor, quantised: Tensor) -> Tensor:
        """What is expected of the quantisation error of a slice, within half a step."""
        return 0.5 * torch.tanh(self.lrp_transforms[index](torch.cat([support, quantised], 1)))


def _stage(channels: int, head_width: int, window: int = WINDOW) -> list[nn.Module]:
    return [MixedBlock(channels, head_width, window, bool(index % 2)) for index in range(BLOCKS)]


def _context(inputs: int, inner_channels: Sequence[int], outputs: int) -> nn.Sequential:
    wide, narrow = inner_channels
    return nn.Sequential(conv3x3(inputs, wide), nn.GELU(), conv3x3(wide, narrow), nn.GELU(), conv3x3(narrow, outputs))
