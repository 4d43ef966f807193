"""LIC-TCM written down a second time, straight from the parameters' names, and its coding loop as it was published.

Functions of a dictionary of tensors; no module of the library. The benchmark measures against it, the tests compare.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from cfm.codecs.learned.backend import BufferedRansEncoder, EntropyBottleneck, GaussianConditional, RansDecoder

LEAK = 0.01
PEDESTAL = 2.0**-36  # of the reparametrised gains of divisive normalisation


class DirectTcm:
    """Codes with the parameters of a LIC-TCM network.

    Parameters
    ----------
    parameters : dict of str to Tensor
        By the released names.
    slices : int
        Slices of the latent.
    bottleneck, gaussian : compressai's entropy models
        With their tables.
    """

    def __init__(
        self,
        parameters: dict[str, Tensor],
        slices: int,
        bottleneck: EntropyBottleneck,
        gaussian: GaussianConditional,
    ):
        self.p, self.slices, self.bottleneck, self.gaussian = parameters, slices, bottleneck, gaussian
        self.width = parameters["g_a.0.conv1.weight"].shape[0] // 2

    def analyse(self, x: Tensor) -> Tensor:
        """g_a: (B, 3, H, W) to (B, M, H / 16, W / 16)."""
        for start, head in ((0, 8), (3, 16), (6, 32)):
            x = self._mixed_pair(self._down(x, f"g_a.{start}"), "g_a", start + 1, head, 8)
        return self._conv(x, "g_a.9", 2)

    def synthesise(self, x: Tensor) -> Tensor:
        """g_s: the way back."""
        for start, head in ((0, 32), (3, 16), (6, 8)):
            x = self._mixed_pair(self._up(x, f"g_s.{start}"), "g_s", start + 1, head, 8)
        return self._shuffled(x, "g_s.9")

    def hyper_analyse(self, x: Tensor) -> Tensor:
        """h_a."""
        return self._conv(self._mixed_pair(self._down(x, "h_a.0"), "h_a", 1, 32, 4), "h_a.3", 2)

    def hyper_synthesise(self, x: Tensor, name: str) -> Tensor:
        """h_mean_s or h_scale_s."""
        return self._shuffled(self._mixed_pair(self._up(x, f"{name}.0"), name, 1, 32, 4), f"{name}.3")

    def compress(self, x: Tensor) -> tuple[bytes, list[bytes]]:
        """Strings of the latent and of the hyper-latent."""
        latent = self.analyse(x)
        hyper = self.hyper_analyse(latent)
        hyper_strings = self.bottleneck.compress(hyper)
        decoded = self.bottleneck.decompress(hyper_strings, hyper.shape[-2:])
        parts = latent.chunk(self.slices, 1)
        symbols: list[int] = []
        indexes: list[int] = []

        def quantise(index: int, mean: Tensor, table: Tensor) -> Tensor:
            quantised = self.gaussian.quantize(parts[index], "symbols", mean)
            symbols.extend(quantised.reshape(-1).tolist())
            indexes.extend(table.reshape(-1).tolist())
            return quantised + mean

        self._slices(decoded, quantise)
        encoder = BufferedRansEncoder()
        encoder.encode_with_indexes(symbols, indexes, *self._tables())
        return encoder.flush(), hyper_strings

    def decompress(self, string: bytes, hyper_strings: list[bytes], shape: tuple[int, int]) -> Tensor:
        """Samples (1, 3, H, W), not clipped."""
        decoded = self.bottleneck.decompress(hyper_strings, shape)
        decoder, tables = RansDecoder(), self._tables()
        decoder.set_stream(string)

        def read(_index: int, mean: Tensor, table: Tensor) -> Tensor:
            values = decoder.decode_stream(table.reshape(-1).tolist(), *tables)
            return torch.tensor(values, dtype=mean.dtype).reshape(mean.shape) + mean

        return self.synthesise(torch.cat(self._slices(decoded, read), 1))

    def _slices(self, hyper: Tensor, quantised_of) -> list[Tensor]:
        means, scales = (self.hyper_synthesise(hyper, name) for name in ("h_mean_s", "h_scale_s"))
        known: list[Tensor] = []
        for index in range(self.slices):
            support = self._gate(torch.cat([means, *known], 1), f"atten_mean.{index}.0")
            mean = self._context(support, f"cc_mean_transforms.{index}")
            gated = self._gate(torch.cat([scales, *known], 1), f"atten_scale.{index}.0")
            table = self.gaussian.build_indexes(self._context(gated, f"cc_scale_transforms.{index}"))
            quantised = quantised_of(index, mean, table)
            residual = self._context(torch.cat([support, quantised], 1), f"lrp_transforms.{index}")
            known.append(quantised + torch.tanh(residual) / 2)
        return known

    def _tables(self) -> tuple[list, list, list]:
        gaussian = self.gaussian
        return gaussian.quantized_cdf.tolist(), gaussian.cdf_length.tolist(), gaussian.offset.tolist()

    def _conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.p[f"{name}.weight"]
        return functional.conv2d(x, weight, self.p[f"{name}.bias"], stride, weight.shape[2] // 2)

    def _shuffled(self, x: Tensor, name: str) -> Tensor:
        return functional.pixel_shuffle(self._conv(x, f"{name}.0"), 2)

    def _normalised(self, x: Tensor, name: str, inverse: bool) -> Tensor:
        floor = (1e-6 + PEDESTAL) ** 0.5
        beta = self.p[f"{name}.beta"].clamp(min=floor) ** 2 - PEDESTAL
        gamma = self.p[f"{name}.gamma"].clamp(min=PEDESTAL**0.5) ** 2 - PEDESTAL
        power = functional.conv2d(x**2, gamma[:, :, None, None], beta)
        return x * (torch.sqrt(power) if inverse else torch.rsqrt(power))

    def _down(self, x: Tensor, name: str) -> Tensor:
        inner = functional.leaky_relu_(self._conv(x, f"{name}.conv1", 2), LEAK)
        inner = self._normalised(self._conv(inner, f"{name}.conv2"), f"{name}.gdn", False)
        return inner + self._conv(x, f"{name}.skip", 2)

    def _up(self, x: Tensor, name: str) -> Tensor:
        inner = functional.leaky_relu_(self._shuffled(x, f"{name}.subpel_conv"), LEAK)
        inner = self._normalised(self._conv(inner, f"{name}.conv"), f"{name}.igdn", True)
        return inner + self._shuffled(x, f"{name}.upsample")

    def _mixed_pair(self, x: Tensor, name: str, start: int, head: int, window: int) -> Tensor:
        for index in range(2):
            block = f"{name}.{start + index}"
            local, distant = self._conv(x, f"{block}.conv1_1").split(self.width, 1)
            inner = functional.leaky_relu_(self._conv(local, f"{block}.conv_block.conv1"), LEAK)
            inner = functional.leaky_relu_(self._conv(inner, f"{block}.conv_block.conv2"), LEAK)
            distant = self._transformer(distant, f"{block}.trans_block", min(head, self.width), window, index == 1)
            x = x + self._conv(torch.cat([inner + local + local, distant], 1), f"{block}.conv1_2")
        return x

    def _gate(self, x: Tensor, name: str) -> Tensor:
        x = self._conv(x, f"{name}.in_conv")
        head = min(16, x.shape[1])
        other = self._transformer(x, f"{name}.non_local_block.block_1", head, 8, False)
        other = self._transformer(other, f"{name}.non_local_block.block_2", head, 8, True)
        local = x
        for unit in range(3):
            local = self._unit(local, f"{name}.conv_a.{unit}.conv")
            other = self._unit(other, f"{name}.conv_b.{unit}.conv")
        return self._conv(local * torch.sigmoid(self._conv(other, f"{name}.conv_b.3")) + x, f"{name}.out_conv")

    def _unit(self, x: Tensor, name: str) -> Tensor:
        inner = functional.relu_(self._conv(x, f"{name}.0"))
        return functional.relu(self._conv(functional.relu_(self._conv(inner, f"{name}.2")), f"{name}.4") + x)

    def _context(self, x: Tensor, name: str) -> Tensor:
        x = functional.gelu(self._conv(x, f"{name}.0"))
        return self._conv(functional.gelu(self._conv(x, f"{name}.2")), f"{name}.4")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def _layer_norm(self, x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def _transformer(self, x: Tensor, name: str, head: int, window: int, shifted: bool) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = x + self._attention(self._layer_norm(x, f"{name}.ln1"), f"{name}.msa", head, window, shifted)
        inner = functional.gelu(self._linear(self._layer_norm(x, f"{name}.ln2"), f"{name}.mlp.0"))
        x = x + self._linear(inner, f"{name}.mlp.2")
        return x.permute(0, 3, 1, 2)

    def _attention(self, x: Tensor, name: str, head: int, window: int, shifted: bool) -> Tensor:
        batch, height, width, channels = x.shape
        half = window // 2
        if shifted:
            x = torch.roll(x, (-half, -half), (1, 2))
        rows, columns = height // window, width // window
        x = x.reshape(batch, rows, window, columns, window, channels).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(batch, rows * columns, window**2, channels)
        split = self._linear(x, f"{name}.embedding_layer")
        split = split.reshape(batch, rows * columns, window**2, -1, head).permute(3, 0, 1, 2, 4)
        query, key, value = split.chunk(3, 0)
        likeness = torch.einsum("hbwpc,hbwqc->hbwpq", query, key) * head**-0.5
        likeness = likeness + self._position_bias(name, window)[:, None, None]
        if shifted:
            likeness = likeness.masked_fill_(self._strangers(rows, columns, window), float("-inf"))
        mixed = torch.einsum("hbwpq,hbwqc->hbwpc", torch.softmax(likeness, -1), value)
        mixed = self._linear(mixed.permute(1, 2, 3, 0, 4).reshape(x.shape), f"{name}.linear")
        mixed = mixed.reshape(batch, rows, columns, window, window, channels).permute(0, 1, 3, 2, 4, 5)
        mixed = mixed.reshape(batch, height, width, channels)
        return torch.roll(mixed, (half, half), (1, 2)) if shifted else mixed

    def _position_bias(self, name: str, window: int) -> Tensor:
        """(heads, window^2, window^2): the parameter of each pair's difference of places."""
        places = torch.cartesian_prod(torch.arange(window), torch.arange(window))
        difference = places[:, None] - places[None] + window - 1
        return self.p[f"{name}.relative_position_params"][:, difference[..., 0], difference[..., 1]]

    def _strangers(self, rows: int, columns: int, window: int) -> Tensor:
        """Pairs of samples that only the shift around the edges has brought into one window."""
        mask = torch.zeros(rows, columns, *[window] * 4, dtype=torch.bool)
        near = window - window // 2
        for first, second in ((slice(near), slice(near, None)), (slice(near, None), slice(near))):
            mask[-1, :, first, :, second, :] = True
            mask[:, -1, :, first, :, second] = True
        return mask.reshape(1, 1, rows * columns, window**2, window**2)
