"""The fits of a task and a codec as tables, and the models that an allocation reads back out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cfm.allocation.fit_quality import FitQuality
from cfm.allocation.loss_rate import SHARING, CurveFit, LossRateModel, compare_models, model_of_fits
from cfm.allocation.rate_phi import RatePhiModel, fit_rate_phi
from cfm.allocation.schemes import PrecodedRates
from cfm.errors import InputError
from cfm.sensitivity.losses import LossCube, importance_weights, relative_losses


@dataclass(frozen=True)
class FitTables:
    """Fitted coefficients, and the points that they were fitted to."""

    fits: pd.DataFrame
    points: pd.DataFrame


def loss_rate_tables(cube: LossCube, precoded: PrecodedRates) -> FitTables:
    """Fit all models of the task loss over the rate, shared and per scale.

    Loss: the mean over pictures of MFIP's relative loss with one scale coded. Rate: all bits over all mosaic samples.

    Parameters
    ----------
    cube : LossCube
        Of all pictures.
    precoded : PrecodedRates
        Of the same pictures, scales and points.

    Returns
    -------
    FitTables
        `fits`: model, scale (null where shared), a, b, c, cc, rmse, points. `points`: scale, point, rate, loss.

    Raises
    ------
    InputError
        If the losses and the streams are not of the same pictures and points, or a fit has too few points.
    """
    check_same(cube, precoded)
    relative = relative_losses(cube)
    weights = importance_weights(relative).mean(0)
    rates, losses = precoded.pooled_rates, relative.mean(0)
    fits = [fit for sharing in SHARING for fit in compare_models(rates, losses, weights, sharing)]
    rows = [(fit.model, fit.scale, fit.a, fit.b, fit.c, *fit.quality) for fit in fits]
    table = pd.DataFrame(rows, columns=["model", "scale", "a", "b", "c", "cc", "rmse", "points"])
    return FitTables(table.astype({"scale": "Int32", "points": "int32"}), _points(precoded, {"loss": losses}))


def check_same(cube: LossCube, precoded: PrecodedRates) -> None:
    """Raise InputError unless losses and streams are of the same pictures, scales and points."""
    same = (
        cube.image_ids == precoded.image_ids.tolist()
        and cube.points == precoded.points.tolist()
        and cube.scales == list(range(precoded.samples.shape[1]))
    )
    if not same:
        raise InputError("losses and streams tables: not the same pictures, scales and points: run MFIP again")


def loss_rate_model(fits: pd.DataFrame, scales: int, sharing: str) -> LossRateModel:
    """The Cauchy model of a table of fits; see `model_of_fits`."""
    quality = FitQuality(float("nan"), float("nan"), 0)
    curves = [
        CurveFit(row.model, None if pd.isna(row.scale) else int(row.scale), row.a, row.b, row.c, quality)
        for row in fits.itertuples()
    ]
    return model_of_fits(curves, scales, sharing)


def rate_phi_tables(precoded: PrecodedRates, phi: Mapping[int, float], kinds: list[str]) -> FitTables:
    """Fit the rate of every scale over phi.

    Parameters
    ----------
    precoded : PrecodedRates
        Of all pictures.
    phi : mapping of int to float
        phi of every point: the Lagrangian of its model, or the QP itself.
    kinds : list of str
        Models to fit; see `cfm.allocation.rate_phi`.

    Returns
    -------
    FitTables
        `fits`: kind, scale, a, b, cc, rmse, points. `points`: scale, point, phi, rate.
    """
    values = phi_of_points(precoded, phi)
    rows = []
    for kind in kinds:
        model = fit_rate_phi(values, precoded.pooled_rates, kind)
        lines = zip(model.slope, model.intercept, model.quality, strict=True)
        rows += [(kind, scale, a, b, *quality) for scale, (a, b, quality) in enumerate(lines)]
    table = pd.DataFrame(rows, columns=["kind", "scale", "a", "b", "cc", "rmse", "points"])
    every_phi = np.broadcast_to(values, precoded.pooled_rates.shape)
    return FitTables(table.astype({"scale": "int32", "points": "int32"}), _points(precoded, {"phi": every_phi}))


def phi_of_points(precoded: PrecodedRates, phi: Mapping[int, float]) -> np.ndarray:
    """phi of the precoded points, in their order.

    Raises
    ------
    InputError
        If a point has none.
    """
    missing = [int(point) for point in precoded.points if int(point) not in phi]
    if missing:
        raise InputError(f"rate-phi fit: no phi for point {missing[0]}: name one for every point")
    return np.array([phi[int(point)] for point in precoded.points], np.float64)


def rate_phi_model(fits: pd.DataFrame, kind: str) -> RatePhiModel:
    """The model of one kind out of a table of fits.

    Raises
    ------
    InputError
        If the table has none of that kind.
    """
    rows = fits[fits["kind"] == kind].sort_values("scale")
    if not len(rows):
        raise InputError(f"rate-phi fits: no model {kind!r}: run the fit again")
    quality = tuple(FitQuality(row.cc, row.rmse, int(row.points)) for row in rows.itertuples())
    return RatePhiModel(kind, rows["a"].to_numpy(), rows["b"].to_numpy(), quality)


def _points(precoded: PrecodedRates, values: dict[str, np.ndarray]) -> pd.DataFrame:
    scales, points = precoded.pooled_rates.shape
    columns = {
        "scale": np.repeat(np.arange(scales, dtype=np.int32), points),
        "point": np.tile(precoded.points.astype(np.int32), scales),
        "rate": precoded.pooled_rates.ravel(),
    }
    return pd.DataFrame(columns | {name: np.ravel(value) for name, value in values.items()})
