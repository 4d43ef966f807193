"""How well IDSE predicts the true feature distance of decoded pictures.

By probes that the encoder did not see, and by those that guided it where it was guided: an encoder that minimises IDSE
finds the null space of the probes it has, so that the prediction by them is too low (METHODS §1).
"""

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
        the column `pictures` counts the others. The columns `..._seen` are of the probes that guided the encoder.
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
        seen = used[used["idse_seen"].astype(float) > 0]
        by_seen, its_distance = seen["idse_seen"].to_numpy(float), seen["feature_distance"].to_numpy()
        row |= {"log_ratio_median": _bias(predicted, measured), "log_ratio_median_seen": _bias(by_seen, its_distance)}
        rows.append(row | {"pearson_seen": correlations(by_seen, its_distance).pearson})
    return pd.DataFrame(rows, columns=load_schema("idse_correlation").column_names)


def _bias(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Median log10 of the ratio; NaN where there are no pictures."""
    return float(np.median(np.log10(predicted / measured))) if len(predicted) else float("nan")
