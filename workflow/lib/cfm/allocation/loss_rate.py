"""Task loss as a function of rate: D_i = w_i alpha R_i^-beta, and the models that it is compared with.

MFIBA, eq. 3 and table 1; METHODS §3. D is the mean relative loss of MFIP with scale i alone coded, w_i the mean weight
of the scale, R_i its rate in bits per mosaic sample. One (alpha, beta) serves all scales, as in the paper, or each has
its own. Because the weight is part of the model in both cases, per-scale alphas do not count importance twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from cfm.allocation.fit_quality import FitQuality, fit_quality
from cfm.errors import InputError

SHARING = ("shared", "per_scale")


@dataclass(frozen=True)
class LossRateModel:
    """A fitted model D_i = w_i alpha_i R_i^-beta_i.

    Attributes
    ----------
    alpha, beta : array (scales,)
        Coefficients; all equal where they are shared.
    sharing : str
        "shared" or "per_scale".

    Raises
    ------
    InputError
        If the loss of a scale does not fall with its rate: eq. 6 has no answer then.
    """

    alpha: np.ndarray
    beta: np.ndarray
    sharing: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.alpha) & (self.alpha > 0) & np.isfinite(self.beta) & (self.beta > 0)).all():
            raise InputError(
                f"loss-rate model with beta {np.round(self.beta, 3).tolist()}: the loss of every scale must fall with "
                "the rate: take more pictures or points further apart"
            )

    def loss(self, weights: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """D for weights (scales,) and rates (scales, ...) in bits per mosaic sample."""
        shape = (-1,) + (1,) * (np.ndim(rates) - 1)
        weighted = (weights * self.alpha).reshape(shape)
        return weighted * rates ** -self.beta.reshape(shape)


def fit_loss_rate(rates: np.ndarray, losses: np.ndarray, weights: np.ndarray, sharing: str) -> LossRateModel:
    """Fit the Cauchy model by least squares on the losses, begun from the straight line of log D / w over log R.

    Parameters
    ----------
    rates : array (scales, points)
        Mean rate of each scale at each point, bits per mosaic sample, above 0.
    losses : array (scales, points)
        Mean relative loss with that scale alone coded at that point.
    weights : array (scales,)
        Mean weight of each scale.
    sharing : {"shared", "per_scale"}
        One (alpha, beta) for all scales or one each.

    Raises
    ------
    InputError
        If fewer than two points have rate, loss and weight above 0, or the loss does not fall with the rate.
    ValueError
        If `sharing` is neither.
    """
    if sharing not in SHARING:
        raise ValueError(f"unknown sharing {sharing!r}; known: {', '.join(SHARING)}")
    pairs = []
    for scale, chosen in _groups(len(weights), sharing):
        r, d, w = _grouped(chosen, rates, losses, weights)
        pairs += [_fit_cauchy(r, d, w, "all scales" if scale is None else f"scale {scale}")]
    if sharing == "shared":
        pairs *= len(weights)
    alpha, beta = np.array(pairs, np.float64).T
    return LossRateModel(alpha, beta, sharing)


def _fit_cauchy(rates: np.ndarray, losses: np.ndarray, weights: np.ndarray, what: str) -> tuple[float, float]:
    usable = (rates > 0) & (losses > 0) & (weights > 0)
    if len(np.unique(rates[usable])) < 2:
        raise InputError(f"loss-rate fit of {what}: fewer than two usable points: precode at more points")
    r, d, w = rates[usable], losses[usable], weights[usable]
    slope, intercept = np.polyfit(np.log(r), np.log(d / w), 1)

    def residuals(x: np.ndarray) -> np.ndarray:
        return w * np.exp(x[0] - x[1] * np.log(r)) - d

    start = np.array([intercept, max(-slope, 1e-3)])
    found = least_squares(residuals, start, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    return float(np.exp(found.x[0])), float(found.x[1])


def _groups(scales: int, sharing: str) -> list[tuple[int | None, slice]]:
    """What one fit covers: all scales (None), or each by itself."""
    return [(None, slice(None))] if sharing == "shared" else [(i, slice(i, i + 1)) for i in range(scales)]


def _grouped(chosen: slice, rates: np.ndarray, losses: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Rates, losses and weights of the chosen scales, one value a point."""
    of_points = np.broadcast_to(weights[:, None], losses.shape)
    return [values[chosen].ravel() for values in (rates, losses, of_points)]


@dataclass(frozen=True)
class CurveFit:
    """One of the compared models, fitted to one set of points.

    Attributes
    ----------
    model : str
        "cauchy": D / w = a R^-b; "quadratic": D / w = a R^2 + b R + c; "inverse": D / w = a / R + b / R^2.
    scale : int or None
        The scale, or None for the fit that all scales share.
    a, b, c : float
        Coefficients; c is NaN except for the quadratic.
    quality : FitQuality
        Of D itself.
    """

    model: str
    scale: int | None
    a: float
    b: float
    c: float
    quality: FitQuality


def compare_models(rates: np.ndarray, losses: np.ndarray, weights: np.ndarray, sharing: str) -> list[CurveFit]:
    """Fit the Cauchy, the quadratic and the inverse model to the same points; arguments as in `fit_loss_rate`."""
    fits = []
    for scale, chosen in _groups(len(weights), sharing):
        r, d, w = _grouped(chosen, rates, losses, weights)
        alpha, beta = _fit_cauchy(r, d, w, "all scales" if scale is None else f"scale {scale}")
        fits.append(CurveFit("cauchy", scale, alpha, beta, np.nan, fit_quality(d, w * alpha * r**-beta)))
        for model, terms in (("quadratic", [r**2, r, np.ones_like(r)]), ("inverse", [1 / r, 1 / r**2])):
            basis = w[:, None] * np.stack(terms, 1)
            found, *_ = np.linalg.lstsq(basis, d, rcond=None)
            a, b, c = [*found, np.nan][:3]
            fits.append(CurveFit(model, scale, float(a), float(b), float(c), fit_quality(d, basis @ found)))
    return fits


def model_of_fits(fits: Sequence[CurveFit], scales: int, sharing: str) -> LossRateModel:
    """The Cauchy model of that sharing among fits of `compare_models`.

    Raises
    ------
    InputError
        If the fits lack it, or its loss does not fall with the rate.
    """
    wanted = [None] * scales if sharing == "shared" else list(range(scales))
    found = {fit.scale: fit for fit in fits if fit.model == "cauchy"}
    missing = [scale for scale in wanted if scale not in found]
    if missing:
        raise InputError(f"loss-rate fits: no {sharing} Cauchy model of scale {missing[0]}: run the fit again")
    alpha = np.array([found[scale].a for scale in wanted])
    return LossRateModel(alpha, np.array([found[scale].b for scale in wanted]), sharing)
