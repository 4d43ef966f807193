"""Bootstrap over pictures: rates, accuracies and their intervals.

A repeat draws as many pictures as there are, with replacement, and uses the same draw for every curve, because the
curves were measured on the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

INTERVAL = (2.5, 97.5)  # percent


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
    ends = np.full((2, len(curve.quality)), np.nan)
    for n, column in enumerate(curve.qualities.T):
        column = column[np.isfinite(column)]
        if len(column):
            ends[:, n] = np.percentile(column, INTERVAL)
    return ends[0], ends[1]
