"""The allocations that are compared: one point for all scales, MFIBA, SABA."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cfm.allocation.allocate import Snapped, budgets, snap_to_own_rates, snap_to_phi
from cfm.allocation.loss_rate import LossRateModel
from cfm.allocation.rate_phi import RatePhiModel
from cfm.errors import InputError
from cfm.sensitivity.saba import proportional_rates

SCHEMES = ("uniform", "mfiba", "saba")
STREAM_KEYS = ["image_id", "scale", "point"]


@dataclass(frozen=True)
class PrecodedRates:
    """What every scale of every picture takes at every trained point.

    Attributes
    ----------
    image_ids, points : array
        What the first and last axis count, ascending.
    size_bytes : array (pictures, scales, points)
        Length of the streams.
    samples : array (pictures, scales)
        Mosaic samples.
    """

    image_ids: np.ndarray
    points: np.ndarray
    size_bytes: np.ndarray
    samples: np.ndarray

    @property
    def rates(self) -> np.ndarray:
        """Bits per mosaic sample, (pictures, scales, points)."""
        return 8 * self.size_bytes / self.samples[..., None]

    @property
    def pooled_rates(self) -> np.ndarray:
        """Bits of all pictures per mosaic sample of all pictures, (scales, points)."""
        return 8 * self.size_bytes.sum(0) / self.samples.sum(0)[:, None]


def precoded_rates(streams: pd.DataFrame) -> PrecodedRates:
    """Arrange a table of streams (columns image_id, scale, point, size_bytes, samples).

    Raises
    ------
    InputError
        If the table is empty or lacks or repeats a stream of a picture, scale and point.
    """
    levels = [np.sort(streams[key].unique()) for key in STREAM_KEYS]
    shape = tuple(len(level) for level in levels)
    if not len(streams) or len(streams) != np.prod(shape) or streams.duplicated(STREAM_KEYS).any():
        raise InputError(f"streams table: {len(streams)} rows where {'x'.join(map(str, shape))} belong: precode again")
    ordered = streams.sort_values(STREAM_KEYS)
    size_bytes, samples = (ordered[name].to_numpy(np.int64).reshape(shape) for name in ("size_bytes", "samples"))
    return PrecodedRates(levels[0].astype(np.int64), levels[2].astype(np.int64), size_bytes, samples[..., 0])


@dataclass(frozen=True)
class Snapping:
    """How budgets become trained points.

    Attributes
    ----------
    by : str
        "own_rates": the picture's own precoded rates; "log_phi": the rate-phi model.
    model : RatePhiModel
        Of the codec, for "log_phi".
    phi : array (points,)
        phi of the trained points, in the order of `PrecodedRates.points`.
    """

    by: str
    model: RatePhiModel
    phi: np.ndarray

    def __call__(self, target: np.ndarray, precoded: PrecodedRates) -> Snapped:
        """Trained points for budgets (pictures, scales) of bits per mosaic sample."""
        if self.by == "own_rates":
            return snap_to_own_rates(target, precoded.rates)
        if self.by == "log_phi":
            return snap_to_phi(target, self.model, self.phi)
        raise ValueError(f"unknown snap {self.by!r}; known: own_rates, log_phi")


def allocate_uniform(precoded: PrecodedRates) -> pd.DataFrame:
    """One operating point for every trained point, which all scales of all pictures take."""
    shape = precoded.samples.shape
    frames = [
        _rows("uniform", point, None, precoded, np.full(shape, index), None, np.zeros(shape, bool))
        for index, point in enumerate(precoded.points)
    ]
    return pd.concat(frames, ignore_index=True)


def allocate_mfiba(
    precoded: PrecodedRates,
    weights: np.ndarray,
    model: LossRateModel,
    lambda_sweep: Sequence[float],
    scale_ratio: float,
    snapping: Snapping,
) -> pd.DataFrame:
    """One operating point for every lambda': the budgets of eq. 6, snapped.

    Parameters
    ----------
    precoded : PrecodedRates
        Of the pictures.
    weights : array (pictures, scales)
        Importance.
    model : LossRateModel
        Task loss over rate.
    lambda_sweep : sequence of float
        lambda' of eq. 5.
    scale_ratio : float
        k.
    snapping : Snapping
        From budgets to points.
    """
    frames = []
    for point, lambda_ in enumerate(lambda_sweep):
        target = budgets(weights, model, lambda_, scale_ratio)
        snapped = snapping(target, precoded)
        frames.append(_rows("mfiba", point, lambda_, precoded, snapped.index, target, snapped.clamped))
    return pd.concat(frames, ignore_index=True)


def allocate_saba(precoded: PrecodedRates, weights: np.ndarray, snapping: Snapping) -> pd.DataFrame:
    """One operating point for every trained point: what all scales take there, shared in proportion to sensitivity.

    Parameters
    ----------
    precoded : PrecodedRates
        Of the pictures.
    weights : array (pictures, scales)
        Sensitivities, sum 1.
    snapping : Snapping
        From budgets to points.
    """
    frames = []
    for index, point in enumerate(precoded.points):
        total_bits = 8 * precoded.size_bytes[..., index].sum(-1)
        target = proportional_rates(weights, total_bits, precoded.samples)
        snapped = snapping(target, precoded)
        frames.append(_rows("saba", point, None, precoded, snapped.index, target, snapped.clamped))
    return pd.concat(frames, ignore_index=True)


def _rows(
    scheme: str,
    point: float,
    lambda_: float | None,
    precoded: PrecodedRates,
    index: np.ndarray,
    target: np.ndarray | None,
    clamped: np.ndarray,
) -> pd.DataFrame:
    pictures, scales = index.shape
    return pd.DataFrame(
        {
            "scheme": scheme,
            "point": float(point),
            "lambda_": np.nan if lambda_ is None else lambda_,
            "image_id": np.repeat(precoded.image_ids, scales),
            "scale": np.tile(np.arange(scales, dtype=np.int32), pictures),
            "codec_point": precoded.points[index].ravel().astype(np.int32),
            "target_rate": np.nan if target is None else target.ravel(),
            "clamped": clamped.ravel(),
        }
    )


def report_clamps(allocation: pd.DataFrame) -> None:
    """Say on standard error how many budgets of each scheme and scale lay outside the trained range."""
    for (scheme, scale), rows in allocation[allocation["scheme"] != "uniform"].groupby(["scheme", "scale"]):
        clamped = int(rows["clamped"].sum())
        print(f"{scheme}, scale {scale}: {clamped} of {len(rows)} budgets clamped", file=sys.stderr)
