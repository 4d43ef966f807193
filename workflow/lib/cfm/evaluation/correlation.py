"""How well IDSE predicts the true feature distance of decoded pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from cfm.evaluation.bootstrap import INTERVAL
from cfm.evaluation.scoring import IDENTITY
from cfm.reporting.tables import load_schema

MINIMUM_PICTURES = 3


class Correlations(NamedTuple):
    """Correlations over pictures; NaN where fewer than three are usable or one side is constant.

    Attributes
    ----------
    pearson : float
        Of the logarithms.
    spearman : float
        Of the ranks.
    """

    pearson: float
    spearman: float


def correlations(predicted: np.ndarray, measured: np.ndarray) -> Correlations:
    """Pearson's correlation of the logarithms, and Spearman's, of two (n,) arrays of positive values."""
    return Correlations(
        _pearson(np.log(predicted), np.log(measured)), _pearson(rankdata(predicted), rankdata(measured))
    )


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < MINIMUM_PICTURES or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))


def correlation_table(distances: pd.DataFrame, rng: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Rows of the schema `idse_correlation`, one an operating point.

    Parameters
    ----------
    distances : pandas.DataFrame
        Rows of the schema `distances`. Pictures whose distance or prediction is 0 have no logarithm and are left out;
        the column `pictures` counts the others.
    rng : numpy.random.Generator
        Source of the bootstrap's draws.
    repeats : int
        Number of resamplings of the pictures.
    """
    rows = []
    for identity, group in distances.groupby(IDENTITY, sort=True):
        used = group[(group["idse"] > 0) & (group["feature_distance"] > 0)]
        predicted, measured = used["idse"].to_numpy(), used["feature_distance"].to_numpy()
        value = correlations(predicted, measured)
        drawn = rng.integers(0, max(len(used), 1), (repeats, len(used)))
        resampled = np.array([correlations(predicted[draw], measured[draw]) for draw in drawn]).reshape(-1, 2)
        row = dict(zip(IDENTITY, identity, strict=True)) | {"pictures": len(used)}
        for name, column in zip(Correlations._fields, resampled.T, strict=True):
            column = column[np.isfinite(column)]
            low, high = np.percentile(column, INTERVAL) if len(column) else (np.nan, np.nan)
            row |= {name: getattr(value, name), f"{name}_low": low, f"{name}_high": high}
        rows.append(row | {"log_ratio_median": np.median(np.log10(predicted / measured)) if len(used) else np.nan})
    return pd.DataFrame(rows, columns=load_schema("idse_correlation").column_names)
