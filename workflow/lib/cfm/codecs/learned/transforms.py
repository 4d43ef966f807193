"""Analysis and synthesis transforms prepared for coding: channels last, fused on a processor, in bfloat16 if wanted.

Latents in bfloat16 would be off by more than quantisation at high rates, and so would samples of 16 bits: the first and
the last layers stay in single precision, the entropy model always does or has a better one.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from cfm.codecs.learned.backend import CompressionModel
from cfm.codecs.learned.fused import fuse

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
HEAD, ANALYSIS_TAIL, SYNTHESIS_TAIL = 1, 2, 1
"""First and last layers of the transforms that stay in single precision."""


class Transforms:
    """A network's two transforms.

    Parameters
    ----------
    model : CompressionModel
        In evaluation mode, on its device; its own transforms are not touched.
    precision : str
        "float32" or "bfloat16".
    """

    def __init__(self, model: CompressionModel, precision: str):
        self._analysis = _parts(model.g_a, ANALYSIS_TAIL, PRECISIONS[precision])
        self._synthesis = _parts(model.g_s, SYNTHESIS_TAIL, PRECISIONS[precision])

    def analyse(self, samples: Tensor) -> Tensor:
        """The latent (1, M, h, w), single precision, of samples (1, 3, H, W) in [0, 1]."""
        for part in self._analysis:
            samples = part(samples)
        return samples.contiguous()

    def synthesise(self, latent: Tensor) -> Tensor:
        """Samples (1, 3, H, W), single precision, of a quantised latent (1, M, h, w)."""
        for part in self._synthesis:
            latent = part(latent)
        return latent


def _parts(transform: nn.Sequential, tail: int, dtype: torch.dtype) -> list[_Part]:
    """A transform's first layer, those between, and its last ones."""
    layers = list(transform)
    parts = ((layers[:HEAD], torch.float32), (layers[HEAD:-tail], dtype), (layers[-tail:], torch.float32))
    return [_Part(*part) for part in parts]


class _Part:
    """Some layers in one precision."""

    def __init__(self, layers: list[nn.Module], dtype: torch.dtype):
        self._dtype = dtype
        self._layers = copy.deepcopy(nn.Sequential(*layers)).to(dtype=dtype, memory_format=torch.channels_last)
        if next(self._layers.parameters()).device.type == "cpu":
            fuse(self._layers, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        x = x.to(dtype=self._dtype, memory_format=torch.channels_last)
        for layer in self._layers:
            x = layer(x)
        return x
