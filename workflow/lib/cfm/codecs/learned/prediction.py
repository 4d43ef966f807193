"""How each family predicts its latent, part by part, from the hyper-latent and the parts that are known already.

A walk is a generator that both sides run: it yields what it expects of the next part, gets what that part was quantised
to, and in the end returns the whole quantised latent. Encoder and decoder so compute the same from the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfm.codecs.learned.backend import Cheng2020Attention, CompressionModel, Elic2022Chandelier, EntropyBottleneck
from cfm.codecs.learned.tcm import LicTcm

KERNEL, REACH = 5, 2
"""Side of the context models' masked convolutions, and how far they see."""

CAUSAL_TAPS = 12
"""Positions of the 5x5 window that precede its centre in raster order: two rows, and two of the centre's row."""


class Part(NamedTuple):
    """What is expected of a part of the latent that is coded at once.

    Attributes
    ----------
    pick : callable
        Takes the part's values out of a latent (1, M, h, w), in the shape of `means`.
    means, scales : Tensor
        Of the Gaussians.
    ends_slice : bool
        Whether a slice of channels is complete with it.
    """

    pick: Callable[[Tensor], Tensor]
    means: Tensor
    scales: Tensor
    ends_slice: bool


Walk = Generator[Part, Tensor, Tensor]


class Prediction(Protocol):
    """The entropy model of a network in a precision of its own.

    Attributes
    ----------
    slices : int
        Slices of channels.
    """

    slices: int

    def walk(self, hyper_latent: Tensor) -> Walk:
        """Go through the parts, given the quantised hyper-latent (1, N, h / 4, w / 4)."""
        ...


def make_prediction(model: CompressionModel, dtype: torch.dtype) -> Prediction:
    """The entropy model of a network of any family, computed in `dtype`."""
    if isinstance(model, LicTcm):
        return TcmPrediction(model, dtype)
    if isinstance(model, Elic2022Chandelier):
        return ElicPrediction(model, dtype)
    return ChengPrediction(model, dtype)


def hyper_parts(model: CompressionModel) -> tuple[nn.Module, EntropyBottleneck]:
    """The hyper-analysis of a network, and the model of its hyper-latent."""
    if isinstance(model, Elic2022Chandelier):
        hyper = model.latent_codec.hyper
        return hyper.h_a, hyper.entropy_bottleneck
    return model.h_a, model.entropy_bottleneck


def _in_precision(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module itself, or a copy in another precision."""
    if next(module.parameters()).dtype == dtype:
        return module
    return copy.deepcopy(module).to(dtype)


class _Perceptron:
    """1x1 convolutions and an activation between them, on rows (n, channels)."""

    def __init__(self, convolutions: Sequence[nn.Conv2d], activation: Callable[[Tensor], Tensor], dtype: torch.dtype):
        self.layers = [
            (layer.weight.detach()[:, :, 0, 0].to(dtype), layer.bias.detach().to(dtype)) for layer in convolutions
        ]
        self.activation = activation

    def __call__(self, rows: Tensor, skipped: int = 0) -> Tensor:
        """The last layer's output; `skipped` leading inputs are zeros and left out of `rows`."""
        first, bias = self.layers[0]
        rows = functional.linear(rows, first[:, skipped:], bias)
        for weight, bias in self.layers[1:]:
            rows = functional.linear(self.activation(rows), weight, bias)
        return rows


class ElicPrediction:
    """ELIC: unevenly grouped channels, each group in two passes over a checkerboard (He et al. 2022, section 3).

    Where compressai runs every layer on the whole grid in both passes, each pass here computes its own half, and of the
    masked convolution only the 12 taps that are not zero.
    """

    def __init__(self, model: Elic2022Chandelier, dtype: torch.dtype):
        latent, self.dtype = model.latent_codec.y, dtype
        self.groups, self.slices = list(latent.groups), len(latent.groups)
        self.hyper_synthesis = _in_precision(model.latent_codec.hyper.h_s, dtype)
        self.channel_contexts = [None] + [
            _in_precision(latent.channel_context[f"y{group}"], dtype) for group in range(1, self.slices)
        ]
        codecs = [latent.latent_codec[f"y{group}"] for group in range(self.slices)]
        self.aggregations = [
            _Perceptron([codec.entropy_parameters[index] for index in (0, 2, 4)], functional.relu, dtype)
            for codec in codecs
        ]
        self.taps = [(row, column) for row in range(KERNEL) for column in range(KERNEL) if (row + column) % 2]
        self.spatial = [_tap_matrix(codec.context_prediction, self.taps, dtype) for codec in codecs]

    def walk(self, hyper_latent: Tensor) -> Walk:
        """Anchors and the others of every group in turn."""
        hyper = self.hyper_synthesis(hyper_latent)
        height, width = hyper.shape[2:]
        even = (torch.arange(height)[:, None] + torch.arange(width)).reshape(-1) % 2 == 0
        halves = [half.nonzero()[:, 0].to(hyper.device) for half in (even, ~even)]
        hyper_rows = [_rows(hyper)[half] for half in halves]
        known: list[Tensor] = []
        for group, channels in enumerate(self.groups):
            rows = hyper_rows
            if group:
                seen = known[:1] if group == 1 else [known[0], known[-1]]
                context = _rows(self.channel_contexts[group](torch.cat(seen, 1)))
                rows = [torch.cat([context[half], part], 1) for half, part in zip(halves, hyper_rows, strict=True)]
            canvas = hyper.new_zeros(height + 2 * REACH, width + 2 * REACH, channels)
            inner = canvas[REACH:-REACH, REACH:-REACH]
            values = hyper.new_empty(height * width, channels)
            for index, half in enumerate(halves):
                inputs = rows[index]
                if index:
                    inner.copy_(values.reshape(height, width, channels))
                    windows = [canvas[r : r + height, c : c + width].reshape(-1, channels)[half] for r, c in self.taps]
                    inputs = torch.cat([functional.linear(torch.cat(windows, 1), *self.spatial[group]), inputs], 1)
                else:
                    values.zero_()
                means, scales = self.aggregations[group](inputs, 0 if index else 2 * channels).chunk(2, 1)
                start = sum(self.groups[:group])
                values[half] = yield Part(_picker(start, channels, half), means, scales, index == 1)
            known.append(values.T.reshape(1, channels, height, width))
        return torch.cat(known, 1)


def _picker(start: int, channels: int, positions: Tensor) -> Callable[[Tensor], Tensor]:
    """Takes some channels at some positions out of a latent, as rows (n, channels)."""
    return lambda latent: latent[0, start : start + channels].flatten(1).T[positions]


def _rows(planes: Tensor) -> Tensor:
    """(1, C, h, w) as rows (h * w, C)."""
    return planes[0].flatten(1).T


def _tap_matrix(masked: nn.Conv2d, taps: Sequence[tuple[int, int]], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A masked convolution's weights at its taps (out, taps * in), and its bias."""
    weight = (masked.weight * masked.mask).detach().to(dtype)
    return torch.cat([weight[:, :, row, column] for row, column in taps], 1), masked.bias.detach().to(dtype)


class TcmPrediction:
    """LIC-TCM: equal slices of channels, each predicted from those before it and refined by an expected residual."""

    def __init__(self, model: LicTcm, dtype: torch.dtype):
        self.slices, self.dtype = model.slices, dtype
        self.share = model.M // model.slices
        self.model = model
        if next(model.parameters()).dtype != dtype:
            self.model = copy.copy(model)
            self.model._modules = {
                name: copy.deepcopy(part).to(dtype)
                for name, part in model.named_children()
                if name not in ("g_a", "g_s", "h_a", "entropy_bottleneck")
            }

    def walk(self, hyper_latent: Tensor) -> Walk:
        """Slice by slice."""
        hyper_parameters = self.model.h_mean_s(hyper_latent), self.model.h_scale_s(hyper_latent)
        known: list[Tensor] = []
        for index in range(self.slices):
            means, scales, support = self.model.predict(index, *hyper_parameters, known)
            channels = slice(index * self.share, (index + 1) * self.share)
            quantised = yield Part(lambda latent, channels=channels: latent[:, channels], means, scales, True)
            known.append(quantised + self.model.residual(index, support, quantised))
        return torch.cat(known, 1)


class ChengPrediction:
    """cheng2020: position by position in raster order.

    The hyper-parameters' share of the first layer is computed for the whole picture at once, and the masked convolution
    is folded into that layer, as nothing non-linear lies between.
    """

    slices = 1

    def __init__(self, model: Cheng2020Attention, dtype: torch.dtype):
        self.channels, self.dtype = model.M, dtype
        self.hyper_synthesis = _in_precision(model.h_s, dtype)
        first, *others = (model.entropy_parameters[index] for index in (0, 2, 4))
        weight = first.weight.detach()[:, :, 0, 0].to(dtype)
        taps = [divmod(tap, KERNEL) for tap in range(CAUSAL_TAPS)]
        matrix, bias = _tap_matrix(model.context_prediction, taps, dtype)
        hyper_channels = 2 * model.M
        self.hyper_weight = weight[:, :hyper_channels].contiguous()
        self.bias = first.bias.detach().to(dtype) + weight[:, hyper_channels:] @ bias
        self.context_weight = (weight[:, hyper_channels:] @ matrix).contiguous()
        self.others = _Perceptron(others, functional.leaky_relu, dtype)

    def walk(self, hyper_latent: Tensor) -> Walk:
        """Position by position."""
        hyper = self.hyper_synthesis(hyper_latent)
        height, width = hyper.shape[2:]
        shares = functional.linear(_rows(hyper), self.hyper_weight, self.bias)
        canvas = hyper.new_zeros(height + REACH, width + 2 * REACH, self.channels)
        for position in range(height * width):
            row, column = divmod(position, width)
            window = canvas[row : row + REACH + 1, column : column + 2 * REACH + 1]
            causal = window.reshape(-1)[: CAUSAL_TAPS * self.channels]
            hidden = functional.leaky_relu(functional.linear(causal, self.context_weight, shares[position]))
            scales, means = self.others(hidden).chunk(2)
            pick = _position_picker(row, column)
            canvas[row + REACH, column + REACH] = yield Part(pick, means, scales, position == height * width - 1)
        return canvas[REACH:, REACH:-REACH].permute(2, 0, 1)[None].contiguous()


def _position_picker(row: int, column: int) -> Callable[[Tensor], Tensor]:
    return lambda latent: latent[0, :, row, column]
