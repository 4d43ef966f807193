"""Tables of the entropy coder, the same on every processor, and what they make a symbol cost.

They follow compressai's entropy models, but are computed in double precision, and rounded to 16 bits then: vector
instructions of other widths round single precision differently, and one differing entry makes a stream unreadable. What
streams carry as their model's digest covers the tables, so that even such a difference would be told.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from scipy.special import erfc

from cfm.codecs.learned.backend import EntropyBottleneck, pmf_to_quantized_cdf

SMALLEST_SCALE, LARGEST_SCALE, SCALES = 0.11, 256.0, 64
TAILS = 6.109410204869  # standard deviations beyond which compressai leaves a probability of 1e-9
PRECISION = 16  # bits of a probability
ESCAPE_BITS = 4  # a value outside of a table is coded in pieces of so many bits


@dataclass(frozen=True)
class Tables:
    """Cumulative frequencies of several distributions of integers.

    Attributes
    ----------
    cumulative : list of lists of int
        0 to 2^16, one entry more than the distribution has values; the last value stands for all that are outside.
    offsets : list of int
        Value of the first.
    """

    cumulative: list[list[int]]
    offsets: list[int]

    @cached_property
    def lengths(self) -> list[int]:
        """Entries of each table."""
        return [len(table) for table in self.cumulative]

    def digest(self) -> bytes:
        """All entries as bytes."""
        return b"".join(np.array([offset, *table], "<i4").tobytes() for offset, table in self._each())

    def bits(self, symbols: np.ndarray, tables: np.ndarray) -> float:
        """What an entropy coder needs for symbols (n,) under tables of these numbers (n,), bits."""
        costs, starts, last = self._costs
        position = symbols - np.asarray(self.offsets)[tables]
        escapes = (position < 0) | (position >= last[tables])
        total = costs[starts[tables] + np.where(escapes, last[tables], position)].sum()
        beyond = position[escapes] - last[tables[escapes]]
        coded = np.where(position[escapes] < 0, -2 * position[escapes] - 1, 2 * beyond)
        pieces = np.ceil(np.log2(coded + 1.0) / ESCAPE_BITS)
        return float(total + ESCAPE_BITS * (pieces + 1 + pieces // (2**ESCAPE_BITS - 1)).sum())

    def _each(self):
        return zip(self.offsets, self.cumulative, strict=True)

    @cached_property
    def _costs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bits of every entry of all tables, where each table starts, and the position of its last value."""
        widths = [np.diff(table) for table in self.cumulative]
        last = np.array([len(width) - 1 for width in widths])
        starts = np.concatenate([[0], np.cumsum(last + 1)[:-1]])
        return PRECISION - np.log2(np.concatenate(widths)), starts, last


@cache
def gaussian_scales() -> torch.Tensor:
    """Standard deviations (64,) of the Gaussian tables, evenly spaced in their logarithm; double precision."""
    step = math.log(LARGEST_SCALE / SMALLEST_SCALE) / (SCALES - 1)
    # Rounded to single precision, as compressai keeps them, which also takes away what libraries differ by.
    scales = [math.exp(math.log(SMALLEST_SCALE) + step * index) for index in range(SCALES)]
    return torch.tensor(scales, dtype=torch.float32).double()


@cache
def gaussian_tables() -> Tables:
    """Gaussians of mean 0 and the standard deviations `gaussian_scales`, integrated over unit intervals."""
    cumulative, offsets = [], []
    for scale in gaussian_scales().tolist():
        reach = math.ceil(scale * TAILS)
        distance = np.abs(np.arange(-reach, reach + 1))
        upper, lower = (erfc(-(side - distance) / (scale * math.sqrt(2))) / 2 for side in (0.5, -0.5))
        cumulative.append(_cumulative([*(upper - lower), 2 * lower[0]]))
        offsets.append(-reach)
    return Tables(cumulative, offsets)


def bottleneck_tables(bottleneck: EntropyBottleneck) -> Tables:
    """The learned distributions of a hyper-latent's channels, around their medians."""
    double = copy.deepcopy(bottleneck).cpu().double()
    with torch.no_grad():
        quantiles = double.quantiles[:, 0]
        medians = quantiles[:, 1]
        below = torch.ceil(medians - quantiles[:, 0]).clamp(min=0).int()
        above = torch.ceil(quantiles[:, 2] - medians).clamp(min=0).int()
        samples = torch.arange(int((below + above).max()) + 1) + (medians - below)[:, None]
        probabilities, lower, upper = double._likelihood(samples[:, None], stop_gradient=True)
        cumulative = []
        for channel, length in enumerate((below + above + 1).tolist()):
            tails = torch.sigmoid(lower[channel, 0, 0]) + torch.sigmoid(-upper[channel, 0, -1])
            cumulative.append(_cumulative([*probabilities[channel, 0, :length].tolist(), float(tails)]))
    return Tables(cumulative, (-below).tolist())


def _cumulative(probabilities: list[float]) -> list[int]:
    return pmf_to_quantized_cdf(torch.tensor(probabilities, dtype=torch.float64), PRECISION).tolist()
