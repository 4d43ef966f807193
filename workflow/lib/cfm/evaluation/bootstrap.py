"""Bootstrap over pictures: intervals of accuracy and of BD-rate.

A repeat draws as many pictures as there are, with replacement, and uses the same draw for every curve, because the
curves were measured on the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cfm.evaluation.bd_rate import MINIMUM_OVERLAP, NAN, compare

MINIMUM_SHARE = 0.5  # an interval needs at least so many of the repeats to be comparable
INTERVAL = (2.5, 97.5)  # percent
ROUNDING = 1e-9  # percent; equal curves differ by this little from 0


@dataclass(frozen=True)
class OperatingPoint:
    """One point of a curve, per picture.

    Attributes
    ----------
    size_bytes : (I,) array
        Bytes of each picture's streams, headers included.
    pixels : (I,) array
        Pixels of each source picture.
    quality : callable
        Accuracy of the weighted pictures, from (I,) weights.
    """

    size_bytes: np.ndarray
    pixels: np.ndarray
    quality: Callable[[np.ndarray], float]

    def rate_bpp(self, weights: np.ndarray) -> float:
        """Pooled rate of the weighted pictures: sum of bits over sum of source pixels."""
        return float(8 * (weights @ self.size_bytes) / (weights @ self.pixels))


@dataclass(frozen=True)
class ResampledCurve:
    """Rates and qualities of a curve's n points on B resamplings.

    Attributes
    ----------
    rate_bpp, quality : (n,) arrays
        On the pictures as they are.
    rates_bpp, qualities : (B, n) arrays
        On the resamplings.
    """

    rate_bpp: np.ndarray
    quality: np.ndarray
    rates_bpp: np.ndarray
    qualities: np.ndarray


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


def draw_weights(pictures: int, rng: np.random.Generator, repeats: int) -> np.ndarray:
    """How often each of the pictures is drawn: (repeats, pictures) int64, rows sum to `pictures`."""
    return rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=repeats)


def resample(points: Sequence[OperatingPoint], weights: np.ndarray) -> ResampledCurve:
    """Evaluate a curve's points on the pictures and on every resampling.

    Parameters
    ----------
    points : sequence of OperatingPoint
        Over the same I pictures.
    weights : (B, I) array
        From `draw_weights`.
    """
    once = np.ones(weights.shape[1])
    return ResampledCurve(
        rate_bpp=np.array([point.rate_bpp(once) for point in points]),
        quality=np.array([point.quality(once) for point in points]),
        rates_bpp=np.array([[point.rate_bpp(row) for point in points] for row in weights]).reshape(-1, len(points)),
        qualities=np.array([[point.quality(row) for point in points] for row in weights]).reshape(-1, len(points)),
    )


def quality_interval(curve: ResampledCurve) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval of every point's quality: two (n,) arrays, NaN where no resampling has a quality."""
    ends = np.full((2, len(curve.quality)), NAN)
    for n, column in enumerate(curve.qualities.T):
        column = column[np.isfinite(column)]
        if len(column):
            ends[:, n] = np.percentile(column, INTERVAL)
    return ends[0], ends[1]


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
