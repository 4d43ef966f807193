"""Losses of the heads as arrays, and the weights of the scales that they give; no network is needed here.

The loss of each part p (classification, box, ...) is divided by the part's own range over the picture's scales and
points. The range begins at 0, which is the loss of the lossless pyramid; a min-max over the few scales would give the
least important one no bits at all. The mean over the parts is d_iq; its mean over the points, normalised to sum 1, is
the weight of scale i. MFIBA, section 3.1 and figure 3; METHODS §3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cfm.errors import InputError

KEYS = ["image_id", "part", "scale", "point"]


@dataclass(frozen=True)
class LossCube:
    """The losses of a set of pictures as one array.

    Attributes
    ----------
    image_ids, parts, scales, points : list
        What the axes count, each ascending.
    values : array (pictures, parts, scales, points) float64
        Losses, at least 0.
    """

    image_ids: list[int]
    parts: list[str]
    scales: list[int]
    points: list[int]
    values: np.ndarray


def loss_cube(losses: pd.DataFrame) -> LossCube:
    """Arrange a table of losses; rounding below 0 is set to 0.

    Raises
    ------
    InputError
        If the table is empty or does not have exactly one loss for every picture, part, scale and point.
    """
    levels = [sorted(losses[key].unique().tolist()) for key in KEYS]
    shape = tuple(len(level) for level in levels)
    if not len(losses) or len(losses) != np.prod(shape) or losses.duplicated(KEYS).any():
        raise InputError(f"losses table: {len(losses)} rows where {'x'.join(map(str, shape))} belong: run MFIP again")
    values = losses.sort_values(KEYS)["loss"].to_numpy(np.float64).reshape(shape)
    return LossCube(*levels, np.maximum(values, 0))


def relative_losses(cube: LossCube) -> np.ndarray:
    """d of MFIBA for every picture, scale and point, (pictures, scales, points) in [0, 1].

    Each part is divided by its largest value over the scales and points of the picture; then the mean over the parts
    that lose anything at all. A picture where nothing is lost has zeros.
    """
    ranges = cube.values.max(axis=(2, 3), keepdims=True)
    counted = ranges > 0
    relative = np.divide(cube.values, ranges, out=np.zeros_like(cube.values), where=counted)
    return relative.sum(axis=1) / np.maximum(counted.sum(axis=1), 1)


def importance_weights(relative: np.ndarray) -> np.ndarray:
    """Weights of the scales: the mean over the points, normalised to sum 1.

    Parameters
    ----------
    relative : array (..., scales, points)
        d, at least 0; see `relative_losses`.

    Returns
    -------
    array (..., scales)
        Equal weights where nothing is lost.
    """
    return normalise(relative.mean(axis=-1))


def normalise(values: np.ndarray) -> np.ndarray:
    """Values (..., n), at least 0, divided by their sum over the last axis; 1/n where all are 0."""
    total = values.sum(axis=-1, keepdims=True)
    equal = np.full_like(values, 1 / values.shape[-1])
    return np.divide(values, total, out=equal, where=total > 0)


def ground_truth_weights(losses: np.ndarray) -> np.ndarray:
    """Weights (..., scales) of drops (..., scales, points): min-max over the scales, sum over the points, sum 1.

    Equal weights where no scale stands out at any point.
    """
    low, high = losses.min(axis=-2, keepdims=True), losses.max(axis=-2, keepdims=True)
    ranged = np.divide(losses - low, high - low, out=np.zeros_like(losses), where=high > low)
    return normalise(ranged.sum(axis=-1))
