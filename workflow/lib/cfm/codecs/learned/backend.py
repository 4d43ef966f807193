"""What is used of compressai, imported without the warning that its scripted layers raise under torch 2.14."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.ans import BufferedRansEncoder, RansDecoder
    from compressai.entropy_models import EntropyBottleneck, GaussianConditional
    from compressai.entropy_models.entropy_models import pmf_to_quantized_cdf
    from compressai.layers import (
        AttentionBlock,
        ResidualBlock,
        ResidualBlockUpsample,
        ResidualBlockWithStride,
        conv1x1,
        conv3x3,
        subpel_conv3x3,
    )
    from compressai.models import Cheng2020Attention, CompressionModel, Elic2022Chandelier
    from compressai.models.sensetime import ResidualBottleneckBlock
    from compressai.ops import quantize_ste
    from compressai.zoo.image import model_urls

__all__ = [
    "AttentionBlock",
    "BufferedRansEncoder",
    "Cheng2020Attention",
    "CompressionModel",
    "Elic2022Chandelier",
    "EntropyBottleneck",
    "GaussianConditional",
    "RansDecoder",
    "ResidualBlock",
    "ResidualBlockUpsample",
    "ResidualBlockWithStride",
    "ResidualBottleneckBlock",
    "conv1x1",
    "conv3x3",
    "model_urls",
    "pmf_to_quantized_cdf",
    "quantize_ste",
    "subpel_conv3x3",
]
