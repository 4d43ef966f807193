"""Entropy coding of a latent and its hyper-latent, in one string, with a checksum of every slice's symbols.

Both sides must agree on the table of every symbol, which depends on a predicted scale. Computed in double precision
(`portable`), scales on any two devices differ by far less than `GUARD`; for those few that lie closer than that to the
boundary of two tables, the encoder says which side it took. In single precision nothing of that holds: such streams are
for the machine, library versions and thread count that made them. Where symbols come out wrong all the same, their
checksum tells.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cfm.codecs.learned.backend import BufferedRansEncoder, CompressionModel, RansDecoder
from cfm.codecs.learned.prediction import Part, hyper_parts, make_prediction
from cfm.codecs.learned.tables import Tables, bottleneck_tables, gaussian_scales, gaussian_tables
from cfm.errors import BitstreamError, WeightsError

GUARD = 1e-8
"""Relative distance of a scale to a boundary of two tables below which the side is coded. A test disturbs the demo's
networks by double precision's rounding: scales change by less than a thousandth of this."""

GUARD_BYTES_A_SYMBOL, GUARD_BYTES_A_BYTE = 4, 16
"""Zeros given to the range decoder after a string: it checks no bounds, and a forged string must not run it beyond. A
symbol takes at most one word; a byte of ones in an escape's length asks for 15 bytes more."""

LEAST_BITS_A_SYMBOL, MOST_BYTES_A_SYMBOL = 4e-5, 16
"""The likeliest value of a table has a probability of at most 1 - 2/65536; an escape takes 16 bits and 9 half bytes."""

WORD_BYTES = 4
LARGEST_SYMBOL = 2**28
HYPER_FACTOR = 4
"""Positions of a latent, in each direction, that one of the hyper-latent stands for."""


SHORT_CHECK_MASK, LONG_CHECK_MASK = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True)
class CodedLatent:
    """A coded latent.

    Attributes
    ----------
    string : bytes
        Symbols of the hyper-latent, then of the latent.
    sides : tuple of (int, bool)
        Symbols whose scale is close to a boundary, by their number in coding order, and whether it is above it.
    checks : tuple of int
        CRC-32 of all symbols up to the end of the hyper-latent, and of each slice; its lower 16 bits but for the last.
    """

    string: bytes
    sides: tuple[tuple[int, bool], ...]
    checks: tuple[int, ...]


class LatentCoder:
    """Codes latents of one network.

    Parameters
    ----------
    model : CompressionModel
        In evaluation mode, in single precision, on its device.
    latent_channels : int
        M.
    portable : bool
        Whether the predictions are computed in double precision.
    """

    def __init__(self, model: CompressionModel, latent_channels: int, portable: bool):
        self.portable, self.latent_channels = portable, latent_channels
        self.hyper_analysis, bottleneck = hyper_parts(model)
        self.prediction = make_prediction(model, torch.float64 if portable else torch.float32)
        self.medians = bottleneck._get_medians().detach().reshape(1, -1, 1, 1)
        self.hyper_tables, self.tables = bottleneck_tables(bottleneck), gaussian_tables()
        self.bounds = gaussian_scales()[:-1].to(self.medians.device)

    @property
    def slices(self) -> int:
        """Slices of channels of a latent."""
        return self.prediction.slices

    def tables_digest(self) -> bytes:
        """Bytes that two machines have alike only if all of their tables are alike."""
        return self.hyper_tables.digest() + self.tables.digest()

    def encode(self, latent: Tensor) -> tuple[CodedLatent, Tensor]:
        """Code a latent (1, M, h, w); gives the quantised latent too."""
        parts = _Collected()
        quantised = self._quantise(latent, parts)
        encoder = BufferedRansEncoder()
        for symbols, tables, chosen in (
            (parts.hyper_symbols, self.hyper_tables, parts.hyper_indexes),
            (parts.symbols(), self.tables, parts.indexes()),
        ):
            encoder.encode_with_indexes(
                symbols.tolist(), chosen.tolist(), tables.cumulative, tables.lengths, tables.offsets
            )
        checks = (*(check & SHORT_CHECK_MASK for check in parts.checks[:-1]), parts.checks[-1])
        return CodedLatent(encoder.flush(), tuple(parts.sides), checks), quantised

    def string_bytes(self, latent: Tensor) -> int:
        """About how long the string of a latent (1, M, h, w) would be, without entropy coding.

        The range coder writes words, and its last state as two.
        """
        parts = _Collected()
        self._quantise(latent, parts)
        hyper = self.hyper_tables.bits(parts.hyper_symbols, parts.hyper_indexes)
        bits = hyper + self.tables.bits(parts.symbols(), parts.indexes())
        return WORD_BYTES * (2 + int(bits / (8 * WORD_BYTES)))

    def decode(self, coded: CodedLatent, hyper_height: int, hyper_width: int) -> Tensor:
        """The quantised latent (1, M, h, w) of a hyper-latent of `hyper_height` times `hyper_width` positions.

        Raises
        ------
        BitstreamError
            If the string is too short for so many symbols, or a checksum differs.
        """
        hyper_symbols = self.medians.shape[1] * hyper_height * hyper_width
        total = hyper_symbols + HYPER_FACTOR**2 * self.latent_channels * hyper_height * hyper_width
        if len(coded.checks) != self.slices + 1:
            raise BitstreamError(
                f"the stream has {len(coded.checks)} checksums where the network needs {self.slices + 1}; encode anew"
            )
        size_bytes = len(coded.string)
        if not LEAST_BITS_A_SYMBOL * total / 8 <= size_bytes <= MOST_BYTES_A_SYMBOL * (total + 1):
            raise BitstreamError(f"{size_bytes} bytes cannot be a picture of that size; encode it anew")
        # The hyper-latent first by itself: a forged header is found before memory is taken for the whole latent.
        for count in (hyper_symbols, total):
            source = _Source(coded, count)
            symbols = source.read_channels(hyper_height * hyper_width, self.hyper_tables)
            source.check("the hyper-latent")
        shape = (1, -1, hyper_height, hyper_width)
        walk = self.prediction.walk(self._dequantised(torch.from_numpy(symbols).reshape(shape)))
        part, slice_index = next(walk), 0
        while True:
            indexes, near = self._tables_of(part)
            for position, above in source.sides_within(near.shape[0]):
                indexes[position] = near[position] + above
            symbols = torch.from_numpy(source.read(indexes, self.tables)).to(self.bounds.device)
            if part.ends_slice:
                slice_index += 1
                source.check(f"slice {slice_index} of {self.slices}")
            try:
                part = walk.send(symbols.reshape(part.means.shape) + part.means)
            except StopIteration as end:
                source.check_end()
                return end.value

    def _quantise(self, latent: Tensor, parts: _Collected) -> Tensor:
        """Quantise a latent, note its symbols and all that goes with them, and return it quantised."""
        hyper_latent = torch.round(self.hyper_analysis(latent) - self.medians)
        indexes = _channel_indexes(hyper_latent.shape[1], hyper_latent[0, 0].numel())
        parts.add_hyper(_integers(hyper_latent), indexes)
        walk = self.prediction.walk(self._dequantised(hyper_latent))
        latent = latent.to(self.prediction.dtype)
        part = next(walk)
        while True:
            symbols = torch.round(part.pick(latent) - part.means)
            indexes, near = self._tables_of(part)
            parts.add(_integers(symbols), indexes, self._close(part, near), near, part.ends_slice)
            try:
                part = walk.send(symbols + part.means)
            except StopIteration as end:
                return end.value

    def _dequantised(self, symbols: Tensor) -> Tensor:
        medians = self.medians.to(self.prediction.dtype)
        return symbols.to(medians.device, medians.dtype) + medians

    def _tables_of(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Each symbol's table (n,), and the boundary that its scale is nearest to (n,)."""
        scales = part.scales.reshape(-1).double()
        indexes = torch.searchsorted(self.bounds, scales)
        below, above = self.bounds[(indexes - 1).clamp(min=0)], self.bounds[indexes.clamp(max=len(self.bounds) - 1)]
        nearest = torch.where((scales - below).abs() < (above - scales).abs(), indexes - 1, indexes)
        return indexes.cpu().numpy(), nearest.clamp(0, len(self.bounds) - 1).cpu().numpy()

    def _close(self, part: Part, nearest: np.ndarray) -> np.ndarray:
        """Positions of the scales that are too close to a boundary; none in single precision, which no guard helps."""
        if not self.portable:
            return np.empty(0, np.int64)
        scales, bounds = part.scales.reshape(-1).double().cpu().numpy(), self.bounds.cpu().numpy()[nearest]
        return np.flatnonzero(np.abs(scales - bounds) < GUARD * bounds)


class _Collected:
    """What an encoder notes on its way."""

    def __init__(self):
        self._symbols: list[np.ndarray] = []
        self._indexes: list[np.ndarray] = []
        self.sides: list[tuple[int, bool]] = []
        self.checks: list[int] = []
        self._crc = self._count = 0

    def add_hyper(self, symbols: np.ndarray, indexes: np.ndarray) -> None:
        self.hyper_symbols, self.hyper_indexes = symbols, indexes
        self._crc = zlib.crc32(symbols)
        self.checks.append(self._crc)

    def add(
        self, symbols: np.ndarray, indexes: np.ndarray, close: np.ndarray, nearest: np.ndarray, ends_slice: bool
    ) -> None:
        self.sides += [(self._count + int(place), bool(indexes[place] > nearest[place])) for place in close]
        self._count += len(symbols)
        self._symbols.append(symbols)
        self._indexes.append(indexes)
        self._crc = zlib.crc32(symbols, self._crc)
        if ends_slice:
            self.checks.append(self._crc)

    def symbols(self) -> np.ndarray:
        return np.concatenate(self._symbols)

    def indexes(self) -> np.ndarray:
        return np.concatenate(self._indexes)


class _Source:
    """Reads symbols and compares their checksums."""

    def __init__(self, coded: CodedLatent, symbols: int):
        self._decoder = RansDecoder()
        guard = GUARD_BYTES_A_SYMBOL * symbols + GUARD_BYTES_A_BYTE * len(coded.string)
        self._decoder.set_stream(coded.string + bytes(guard))
        self._sides, self._checks = list(reversed(coded.sides)), list(reversed(coded.checks))
        self._crc = self._count = 0

    def read(self, indexes: np.ndarray, tables: Tables) -> np.ndarray:
        """Symbols (n,) under tables of these numbers (n,); only the tables that occur are handed to the decoder."""
        used, own = np.unique(indexes, return_inverse=True)
        symbols = self._decoded(own.tolist(), used, tables)
        self._crc = zlib.crc32(symbols, self._crc)
        return symbols

    def read_channels(self, positions: int, tables: Tables) -> np.ndarray:
        """Symbols (channels * positions,) of as many channels as there are tables; little memory beside the result."""
        own, symbols = [0] * positions, np.empty((len(tables.offsets), positions), "<i4")
        for channel, values in enumerate(symbols):
            values[:] = self._decoded(own, [channel], tables)
        self._crc = zlib.crc32(symbols, self._crc)
        return symbols.reshape(-1)

    def _decoded(self, own: list[int], used: Sequence[int], tables: Tables) -> np.ndarray:
        """Symbols under those of the tables that are used, `own` counting these."""
        values = self._decoder.decode_stream(
            own,
            [tables.cumulative[index] for index in used],
            [len(tables.cumulative[index]) for index in used],
            [tables.offsets[index] for index in used],
        )
        return np.array(values, "<i4")

    def sides_within(self, count: int) -> Iterator[tuple[int, bool]]:
        """Those of the next `count` symbols whose side is coded: position among them, and whether it is above."""
        while self._sides and self._sides[-1][0] < self._count + count:
            number, above = self._sides.pop()
            yield number - self._count, above
        self._count += count

    def check_end(self) -> None:
        """Raise `BitstreamError` where sides of symbols are left that there are not."""
        if self._sides:
            raise BitstreamError("the stream says more than its picture has; encode it anew")

    def check(self, what: str) -> None:
        """Raise `BitstreamError` where the symbols so far are not those that the encoder coded."""
        kept = SHORT_CHECK_MASK if len(self._checks) > 1 else LONG_CHECK_MASK
        if self._crc & kept != self._checks.pop():
            raise BitstreamError(
                f"the symbols of {what} are not those that were coded: the stream is damaged, or this machine predicts "
                "them otherwise than the encoder's; encode with `portable: true`"
            )


def _integers(symbols: Tensor) -> np.ndarray:
    if not symbols.abs().max() < LARGEST_SYMBOL:  # also where one is not a number
        raise WeightsError("the network gives a latent that is too large to code; fetch or train its weights anew")
    return symbols.reshape(-1).to("cpu", torch.int32).numpy()


def _channel_indexes(channels: int, positions: int) -> np.ndarray:
    """The table of every symbol of a hyper-latent: its channel's."""
    return np.repeat(np.arange(channels), positions)
