"""How well a fitted curve meets its data: correlation and root mean squared error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class FitQuality(NamedTuple):
    """Quality of a fit.

    Attributes
    ----------
    cc : float
        Pearson correlation of measured and fitted values; NaN where one of them is constant.
    rmse : float
        Root mean squared error, in the unit of the values.
    points : int
        Number of values.
    """

    cc: float
    rmse: float
    points: int


def fit_quality(measured: np.ndarray, fitted: np.ndarray) -> FitQuality:
    """Compare measured with fitted values of the same shape."""
    measured, fitted = np.ravel(measured), np.ravel(fitted)
    rmse = float(np.sqrt(np.square(measured - fitted).mean()))
    if np.ptp(measured) == 0 or np.ptp(fitted) == 0:
        return FitQuality(float("nan"), rmse, measured.size)
    return FitQuality(float(np.clip(np.corrcoef(measured, fitted)[0, 1], -1, 1)), rmse, measured.size)
