"""Entropy coding of cheng2020's latent, position by position in raster order.

compressai's own loop gives its range decoder all 64 tables at every position, which takes most of its time. Here only
the tables that a position needs are passed on. The hyper-parameters' share of the first layer is computed for
the whole picture at once, and the masked convolution is folded into that layer, as nothing non-linear lies between.
Encoder and decoder run the same prediction on the same values, so they agree by construction.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from cfm.codecs.learned.backend import BufferedRansEncoder, Cheng2020Attention, RansDecoder

REACH = 2
"""Rows above and columns to each side that the 5x5 masked convolution sees."""

CAUSAL_TAPS = 12
"""Positions of the 5x5 window that precede its centre in raster order: two rows, and two of the centre's row."""


class LatentCoder:
    """Codes the latent y (1, M, h, w) of a cheng2020 network, given what the hyper-latent predicts.

    Parameters
    ----------
    model : Cheng2020Attention
        In evaluation mode, tables updated.
    """

    def __init__(self, model: Cheng2020Attention):
        context, first = model.context_prediction, model.entropy_parameters[0]
        self.channels = model.M
        hyper_channels = 2 * model.M
        weight = first.weight.detach()[:, :, 0, 0]
        taps = (context.weight * context.mask).detach().flatten(2)[:, :, :CAUSAL_TAPS]
        context_matrix = taps.permute(0, 2, 1).reshape(hyper_channels, CAUSAL_TAPS * model.M)
        self._hyper_weight = weight[:, :hyper_channels, None, None].contiguous()
        self._bias = first.bias.detach() + weight[:, hyper_channels:] @ context.bias.detach()
        self._context_weight = (weight[:, hyper_channels:] @ context_matrix).contiguous()
        self._layers = [
            (layer.weight.detach()[:, :, 0, 0].contiguous(), layer.bias.detach())
            for layer in (model.entropy_parameters[2], model.entropy_parameters[4])
        ]
        gaussian = model.gaussian_conditional
        self._bounds = gaussian.scale_table[:-1].contiguous()
        self._lengths = gaussian.cdf_length.tolist()
        self._offsets = gaussian.offset.tolist()
        tables = gaussian.quantized_cdf.tolist()
        self._tables = [table[:length] for table, length in zip(tables, self._lengths, strict=True)]

    def encode(self, latent: torch.Tensor, hyper_parameters: torch.Tensor) -> bytes:
        """Code a latent (1, M, h, w) given hyper-parameters (1, 2M, h, w)."""
        positions = latent[0].permute(1, 2, 0).contiguous()
        symbols: list[int] = []
        tables: list[int] = []

        def quantise(row: int, column: int, table: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
            symbol = torch.round(positions[row, column] - mean)
            symbols.extend(symbol.int().tolist())
            tables.extend(table.tolist())
            return symbol

        self._visit(hyper_parameters, quantise)
        encoder = BufferedRansEncoder()
        encoder.encode_with_indexes(symbols, tables, self._tables, self._lengths, self._offsets)
        return encoder.flush()

    def decode(self, string: bytes, hyper_parameters: torch.Tensor) -> torch.Tensor:
        """Decode what `encode` coded under the same hyper-parameters; gives the quantised latent (1, M, h, w)."""
        decoder = RansDecoder()
        decoder.set_stream(string)
        own = list(range(self.channels))

        def read(_row: int, _column: int, table: torch.Tensor, _mean: torch.Tensor) -> torch.Tensor:
            needed = table.tolist()
            return torch.tensor(
                decoder.decode_stream(
                    own,
                    [self._tables[index] for index in needed],
                    [self._lengths[index] for index in needed],
                    [self._offsets[index] for index in needed],
                ),
                dtype=torch.float32,
            )

        return self._visit(hyper_parameters, read)

    def _visit(self, hyper_parameters: torch.Tensor, symbols_at) -> torch.Tensor:
        """Predict every position from those before it and fill in `symbols_at(row, column, table, mean)` + mean."""
        height, width = hyper_parameters.shape[2:]
        shares = functional.conv2d(hyper_parameters, self._hyper_weight, self._bias)[0].permute(1, 2, 0).contiguous()
        quantised = torch.zeros(height + REACH, width + 2 * REACH, self.channels)
        for row in range(height):
            for column in range(width):
                window = quantised[row : row + REACH + 1, column : column + 2 * REACH + 1]
                causal = window.reshape(-1)[: CAUSAL_TAPS * self.channels]
                hidden = functional.linear(causal, self._context_weight, shares[row, column])
                for weight, bias in self._layers:
                    hidden = functional.linear(functional.leaky_relu(hidden), weight, bias)
                scale, mean = hidden.chunk(2)
                table = torch.searchsorted(self._bounds, scale)
                quantised[row + REACH, column + REACH] = symbols_at(row, column, table, mean) + mean
        return quantised[REACH:, REACH:-REACH].permute(2, 0, 1)[None].contiguous()
