"""Sensitivity-aware bit allocation (Hu et al., VCIP 2020) as MFIBA uses it for comparison: one pass at one quality.

The sensitivity of a scale is the loss that coding it at one point causes; bits are given in proportion to it.
"""

from __future__ import annotations

import numpy as np

from cfm.errors import ConfigurationError
from cfm.sensitivity.losses import LossCube, normalise


def middle_point(points: list[int]) -> int:
    """The point at which sensitivities are taken: the middle one, the lower of two."""
    return sorted(points)[(len(points) - 1) // 2]


def sensitivities(cube: LossCube, point: int) -> np.ndarray:
    """Sensitivity of every scale, (pictures, scales), sum 1.

    Each part of the loss is divided by its largest value over the scales, at this point alone; then the mean over the
    parts. Equal where nothing is lost.

    Raises
    ------
    ConfigurationError
        If the losses were not measured at `point`.
    """
    if point not in cube.points:
        raise ConfigurationError(f"SABA: point {point} was not precoded; precoded points: {cube.points}")
    values = cube.values[..., cube.points.index(point)]
    ranges = values.max(axis=2, keepdims=True)
    relative = np.divide(values, ranges, out=np.zeros_like(values), where=ranges > 0)
    return normalise(relative.sum(axis=1))


def proportional_rates(weights: np.ndarray, total_bits: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Rates of the scales when bits are proportional to sensitivity, bits per mosaic sample.

    Parameters
    ----------
    weights : array (..., scales)
        Sensitivities, sum 1.
    total_bits : array (...)
        What all scales together may take.
    samples : array (..., scales)
        Mosaic samples of each scale.
    """
    return weights * np.asarray(total_bits)[..., None] / samples
