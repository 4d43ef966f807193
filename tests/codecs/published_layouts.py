"""Names and shapes of published checkpoints, written down from their layouts and not from our modules."""

from collections.abc import Iterator
from itertools import pairwise

import torch

Shapes = dict[str, tuple[int, ...]]
TCM_HEAD_WIDTHS = {"g_a": (8, 16, 32), "g_s": (32, 16, 8)}


def layer(name: str, *shape: int) -> Shapes:
    """A layer's weight, and its bias as long as the weight's first axis."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def convolution(name: str, inputs: int, outputs: int, side: int = 3) -> Shapes:
    return layer(name, outputs, inputs, side, side)


def norm(name: str, channels: int) -> Shapes:
    return {f"{name}.beta": (channels,), f"{name}.gamma": (channels, channels)}


def residual(name: str, channels: int) -> Shapes:
    return convolution(f"{name}.conv1", channels, channels) | convolution(f"{name}.conv2", channels, channels)


def down(name: str, inputs: int, outputs: int, skip: str = "skip") -> Shapes:
    return (
        convolution(f"{name}.conv1", inputs, outputs)
        | convolution(f"{name}.conv2", outputs, outputs)
        | norm(f"{name}.gdn", outputs)
        | convolution(f"{name}.{skip}", inputs, outputs, 1)
    )


def up(name: str, inputs: int, outputs: int) -> Shapes:
    return (
        convolution(f"{name}.subpel_conv.0", inputs, 4 * outputs)
        | convolution(f"{name}.conv", outputs, outputs)
        | norm(f"{name}.igdn", outputs)
        | convolution(f"{name}.upsample.0", inputs, 4 * outputs)
    )


def attention(name: str, channels: int) -> Shapes:
    """The convolutions of a non-local attention block."""
    half, found = channels // 2, {}
    for branch in ("conv_a", "conv_b"):
        for unit in range(3):
            part = f"{name}.{branch}.{unit}.conv"
            found |= convolution(f"{part}.0", channels, half, 1) | convolution(f"{part}.2", half, half)
            found |= convolution(f"{part}.4", half, channels, 1)
    return found | convolution(f"{name}.conv_b.3", channels, channels, 1)


def bottleneck(name: str, channels: int, style: str = "_{}{}") -> Shapes:
    """The factorised entropy model with three filters of width 3, in an older or newer style of names."""
    plural = {"matrix": "matrices", "bias": "biases", "factor": "factors"}
    widths = (1, 3, 3, 3, 3, 1)
    found = {f"{name}.quantiles": (channels, 1, 3)}
    for index in range(5):
        parts = {"matrix": (channels, widths[index + 1], widths[index]), "bias": (channels, widths[index + 1], 1)}
        parts |= {"factor": (channels, widths[index + 1], 1)} if index < 4 else {}
        for part, shape in parts.items():
            kind = part if style == "_{}{}" else plural[part]
            found[f"{name}.{style.format(kind, index)}"] = shape
    return found


def transformer(name: str, channels: int, head: int, window: int) -> Shapes:
    found = {f"{name}.msa.relative_position_params": (channels // head, 2 * window - 1, 2 * window - 1)}
    for part in ("ln1", "ln2"):
        found |= layer(f"{name}.{part}", channels) | {f"{name}.{part}.bias": (channels,)}
    found |= layer(f"{name}.msa.embedding_layer", 3 * channels, channels) | layer(
        f"{name}.msa.linear", channels, channels
    )
    return found | layer(f"{name}.mlp.0", 4 * channels, channels) | layer(f"{name}.mlp.2", channels, 4 * channels)


def mixed_pair(name: str, first: int, n: int, head: int, window: int = 8) -> Shapes:
    """Two blocks of a convolutional and a transformer half with n channels each."""
    found = {}
    for index in (first, first + 1):
        block = f"{name}.{index}"
        found |= transformer(f"{block}.trans_block", n, head, window) | residual(f"{block}.conv_block", n)
        found |= convolution(f"{block}.conv1_1", 2 * n, 2 * n, 1) | convolution(f"{block}.conv1_2", 2 * n, 2 * n, 1)
    return found


def lic_tcm(n: int) -> Shapes:
    """LIC-TCM as released: M = 320, five slices, 192 hyper channels."""
    m, slices, hyper = 320, 5, 192
    found = down("g_a.0", 3, 2 * n) | down("g_a.3", 2 * n, 2 * n) | down("g_a.6", 2 * n, 2 * n)
    found |= convolution("g_a.9", 2 * n, m) | convolution("g_s.9.0", 2 * n, 12)
    found |= up("g_s.0", m, 2 * n) | up("g_s.3", 2 * n, 2 * n) | up("g_s.6", 2 * n, 2 * n)
    for part, heads in TCM_HEAD_WIDTHS.items():
        for stage, head in enumerate(heads):
            found |= mixed_pair(part, 3 * stage + 1, n, head)
    found |= down("h_a.0", m, 2 * n) | mixed_pair("h_a", 1, n, 32, 4) | convolution("h_a.3", 2 * n, hyper)
    for part in ("h_mean_s", "h_scale_s"):
        found |= up(f"{part}.0", hyper, 2 * n) | mixed_pair(part, 1, n, 32, 4)
        found |= convolution(f"{part}.3.0", 2 * n, 4 * m)
    for index in range(slices):
        known = m + 64 * index
        for part in ("atten_mean", "atten_scale"):
            gate = f"{part}.{index}.0"
            found |= attention(gate, 128) | convolution(f"{gate}.in_conv", known, 128, 1)
            found |= convolution(f"{gate}.out_conv", 128, known, 1)
            for block in ("block_1", "block_2"):
                found |= transformer(f"{gate}.non_local_block.{block}", 128, 16, 8)
        widths = {"cc_mean_transforms": known, "cc_scale_transforms": known, "lrp_transforms": known + 64}
        for part, inputs in widths.items():
            found |= convolution(f"{part}.{index}.0", inputs, 224) | convolution(f"{part}.{index}.2", 224, 128)
            found |= convolution(f"{part}.{index}.4", 128, 64)
    return found | bottleneck("entropy_bottleneck", hyper)


def public_elic() -> Shapes:
    """The public re-implementation of ELIC: N = 192, M = 320, five groups; deconvolutions have their inputs first."""
    n, m, groups = 192, 320, (16, 16, 32, 64, 192)
    found = convolution("g_a.0", 3, n, 5) | convolution("g_a.13", n, m, 5) | attention("g_a.8", n)
    found |= attention("g_a.14", m) | attention("g_s.0", m) | attention("g_s.6", n)
    found |= convolution("g_a.4", n, n, 5) | convolution("g_a.9", n, n, 5)
    for index, (inputs, outputs) in {1: (m, n), 5: (n, n), 10: (n, n), 14: (n, 3)}.items():
        found |= {f"g_s.{index}.weight": (inputs, outputs, 5, 5), f"g_s.{index}.bias": (outputs,)}
    for part, places in {"g_a": (1, 2, 3, 5, 6, 7, 10, 11, 12), "g_s": (2, 3, 4, 7, 8, 9, 11, 12, 13)}.items():
        for index in places:
            block = f"{part}.{index}"
            found |= convolution(f"{block}.conv1", n, n // 2, 1) | convolution(f"{block}.conv2", n // 2, n // 2)
            found |= convolution(f"{block}.conv3", n // 2, n, 1)
    found |= convolution("h_a.0", m, n) | convolution("h_a.2", n, n, 5) | convolution("h_a.4", n, n, 5)
    found |= {"h_s.0.weight": (n, n, 5, 5), "h_s.0.bias": (n,), "h_s.2.weight": (n, 288, 5, 5), "h_s.2.bias": (288,)}
    found |= convolution("h_s.4", 288, 2 * m)
    for index, group in enumerate(groups):
        found |= convolution(f"context_prediction.{index}", group, 2 * group, 5)
        inputs = 2 * m + 2 * group + (2 * group if index else 0)
        found |= convolution(f"ParamAggregation.{index}.0", inputs, 640, 1)
        found |= convolution(f"ParamAggregation.{index}.2", 640, 512, 1)
        found |= convolution(f"ParamAggregation.{index}.4", 512, 2 * group, 1)
        if index:
            context = f"cc_transforms.{index - 1}"
            found |= convolution(f"{context}.0", 16 + (groups[index - 1] if index > 1 else 0), 224, 5)
            found |= convolution(f"{context}.2", 224, 128, 5) | convolution(f"{context}.4", 128, 2 * group, 5)
    return found | bottleneck("entropy_bottleneck", n)


def zoo_cheng(n: int, style: str) -> Shapes:
    """cheng2020-attn in compressai's zoo: M = N."""
    skip = "downsample" if style == "_{}.{}" else "skip"
    found = down("g_a.0", 3, n, skip) | down("g_a.2", n, n, skip) | down("g_a.5", n, n, skip)
    found |= convolution("g_a.7", n, n) | convolution("g_s.9.0", n, 12)
    for name in ("g_a.1", "g_a.4", "g_a.6", "g_s.1", "g_s.3", "g_s.6", "g_s.8"):
        found |= residual(name, n)
    for name in ("g_a.3", "g_a.8", "g_s.0", "g_s.5"):
        found |= attention(name, n)
    for name in ("g_s.2", "g_s.4", "g_s.7"):
        found |= up(name, n, n)
    for index in (0, 2, 4, 6, 8):
        found |= convolution(f"h_a.{index}", n, n)
    wide = n * 3 // 2
    found |= convolution("h_s.0", n, n) | convolution("h_s.2.0", n, 4 * n) | convolution("h_s.4", n, wide)
    found |= convolution("h_s.6.0", wide, 4 * wide) | convolution("h_s.8", wide, 2 * n)
    widths = (n * 12 // 3, n * 10 // 3, n * 8 // 3, n * 6 // 3)
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        found |= convolution(f"entropy_parameters.{2 * index}", inputs, outputs, 1)
    return found | convolution("context_prediction", n, 2 * n, 5) | bottleneck("entropy_bottleneck", n, style)


def tables(names: Shapes) -> Iterator[str]:
    """Buffers that a checkpoint has beside its parameters."""
    yield from (f"entropy_bottleneck.{name}" for name in ("_offset", "_quantized_cdf", "_cdf_length", "target"))
    yield from (f"gaussian_conditional.{name}" for name in ("_offset", "_quantized_cdf", "_cdf_length", "scale_table"))
    yield "gaussian_conditional.lower_bound_scale.bound"
    yield from (name.replace("weight", "mask") for name in names if "context_prediction" in name and "weight" in name)


def state(shapes: Shapes, prefix: str = "") -> dict[str, torch.Tensor]:
    """A tensor of one stored value for every name, which differs from name to name, and one for every buffer."""
    values = {
        name: torch.tensor(0.01 * (1 + index % 90)).expand(shape) for index, (name, shape) in enumerate(shapes.items())
    }
    values |= {name: torch.ones(3) for name in tables(shapes)}
    return {prefix + name: value for name, value in values.items()}
