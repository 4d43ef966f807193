"""How sure a BD-rate is: its bootstrap interval over pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cfm.evaluation.bd_rate import MINIMUM_OVERLAP, NAN, compare
from cfm.evaluation.bootstrap import INTERVAL, OperatingPoint, ResampledCurve, draw_weights, resample

MINIMUM_SHARE = 0.5  # an interval needs at least so many of the repeats to be comparable
ROUNDING = 1e-9  # percent; equal curves differ by this little from 0


@dataclass(frozen=True)
class BdRateInterval:
    """How sure a BD-rate is.

    Attributes
    ----------
    low, high : float
        The 2.5 and 97.5 percentiles over the comparable repeats, percent; NaN where under half of them are.
    sd : float
        Standard deviation over the same, percent.
    comparable_share : float
        Share of the repeats that gave a number.
    significant : bool
        Whether the interval excludes 0.
    """

    low: float
    high: float
    sd: float
    comparable_share: float
    significant: bool


def interval_of(
    anchor: ResampledCurve, test: ResampledCurve, minimum_overlap: float = MINIMUM_OVERLAP
) -> BdRateInterval:
    """The interval of the BD-rate of two curves that were resampled with the same weights.

    Parameters
    ----------
    anchor, test : ResampledCurve
        Of the same draws.
    minimum_overlap : float
        As in `compare`.

    Raises
    ------
    ValueError
        If the curves have different numbers of resamplings.
    """
    drawn = (anchor.rates_bpp, anchor.qualities, test.rates_bpp, test.qualities)
    values = np.array([compare(*row, minimum_overlap).bd_rate_percent for row in zip(*drawn, strict=True)])
    comparable = values[np.isfinite(values)]
    share = len(comparable) / len(values) if len(values) else 0.0
    if share < MINIMUM_SHARE or not len(comparable):
        return BdRateInterval(NAN, NAN, NAN, share, False)
    low, high = (float(end) for end in np.percentile(comparable, INTERVAL))
    return BdRateInterval(low, high, float(np.std(comparable)), share, low > ROUNDING or high < -ROUNDING)


def bootstrap_bd_rate(
    anchor: Sequence[OperatingPoint], test: Sequence[OperatingPoint], rng: np.random.Generator, repeats: int
) -> BdRateInterval:
    """Resample the pictures of both curves together and give the BD-rate's interval.

    Parameters
    ----------
    anchor, test : sequences of OperatingPoint
        Over the same pictures in the same order.
    rng : numpy.random.Generator
        Source of the draws.
    repeats : int
        Number of resamplings.

    Raises
    ------
    ValueError
        If the points have different numbers of pictures.
    """
    counts = {len(point.size_bytes) for point in (*anchor, *test)}
    if len(counts) != 1:
        raise ValueError(f"points over different numbers of pictures: {sorted(counts)}")
    weights = draw_weights(counts.pop(), rng, repeats)
    return interval_of(resample(anchor, weights), resample(test, weights))
