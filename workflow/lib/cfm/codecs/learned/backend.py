"""What is used of compressai, imported without the warning that its scripted layers raise under torch 2.14."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.ans import BufferedRansEncoder, RansDecoder
    from compressai.entropy_models import EntropyBottleneck
    from compressai.layers import ResidualBlock, conv3x3
    from compressai.models import Cheng2020Attention, CompressionModel, Elic2022Chandelier

__all__ = [
    "BufferedRansEncoder",
    "Cheng2020Attention",
    "CompressionModel",
    "Elic2022Chandelier",
    "EntropyBottleneck",
    "RansDecoder",
    "ResidualBlock",
    "conv3x3",
]
