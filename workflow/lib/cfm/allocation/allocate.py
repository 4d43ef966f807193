"""Bits among the scales of a picture: budgets of eq. 6, and the trained points that come nearest to them.

    minimise  sum_i w_i alpha_i R_i^-beta_i + lambda' sum_i R_i / k^i        R_i in bits per mosaic sample
    budget    R_i = (w_i alpha_i beta_i k^i / lambda')^(1 / (beta_i + 1))

MFIBA, eqs. 5, 6 and 8; METHODS §3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cfm.allocation.loss_rate import LossRateModel
from cfm.allocation.rate_phi import RatePhiModel

SNAPS = ("own_rates", "log_phi")


def budgets(weights: np.ndarray, model: LossRateModel, lambda_: float, scale_ratio: float = 4.0) -> np.ndarray:
    """Optimal rates of the scales for one multiplier.

    Parameters
    ----------
    weights : array (..., scales)
        Importance of every scale, at least 0.
    model : LossRateModel
        alpha and beta of every scale.
    lambda_ : float
        lambda' of eq. 5, above 0: loss per bit and sample of the finest scale.
    scale_ratio : float
        k: samples of a scale over those of the next coarser one.

    Returns
    -------
    array (..., scales)
        Bits per mosaic sample.
    """
    if not lambda_ > 0 or not scale_ratio > 0:
        raise ValueError(f"lambda' {lambda_} and k {scale_ratio} must be above 0")
    price = lambda_ / scale_ratio ** np.arange(len(model.alpha))
    return (weights * model.alpha * model.beta / price) ** (1 / (model.beta + 1))


def lambda_range(
    weights: np.ndarray, model: LossRateModel, rates: np.ndarray, scale_ratio: float = 4.0
) -> tuple[float, float]:
    """Smallest and largest lambda' at which the budget of some scale is within its trained rates.

    Parameters
    ----------
    weights : array (scales,)
        Mean weights.
    model : LossRateModel
        alpha and beta.
    rates : array (scales, points)
        Mean rates of the trained points, bits per mosaic sample.
    scale_ratio : float
        k.
    """
    gain = (weights * model.alpha * model.beta * scale_ratio ** np.arange(len(weights)))[:, None]
    multipliers = gain / rates ** (model.beta[:, None] + 1)
    return float(multipliers.min()), float(multipliers.max())


@dataclass(frozen=True)
class Snapped:
    """Trained points in place of budgets.

    Attributes
    ----------
    index : array of int, the shape of the budgets
        Which of the trained points.
    clamped : array of bool, the same shape
        Where the budget lay outside what the trained points span.
    """

    index: np.ndarray
    clamped: np.ndarray


def snap_to_own_rates(target: np.ndarray, own: np.ndarray) -> Snapped:
    """The trained point whose rate for this very picture is nearest, in log rate.

    Parameters
    ----------
    target : array (..., scales)
        Budgets, bits per mosaic sample, at least 0.
    own : array (..., scales, points)
        The pictures' precoded rates, above 0.
    """
    with np.errstate(divide="ignore"):
        logarithm = np.log(target)[..., None]
    measured = np.log(own)
    below, above = own.min(-1), own.max(-1)
    within = np.clip(logarithm, measured.min(-1, keepdims=True), measured.max(-1, keepdims=True))
    return Snapped(np.abs(measured - within).argmin(-1), (target < below) | (target > above))


def snap_to_phi(target: np.ndarray, model: RatePhiModel, trained: np.ndarray) -> Snapped:
    """The trained point whose phi is nearest to that of the rate-phi model: in log phi, or in QP.

    Parameters
    ----------
    target : array (..., scales)
        Budgets, bits per mosaic sample, at least 0.
    model : RatePhiModel
        Rate to phi for every scale.
    trained : array (points,)
        phi of the trained points.
    """
    phi = model.phi(target)
    low, high = trained.min(), trained.max()
    within = np.clip(phi, low, high)
    axis = (lambda values: values) if model.kind == "log_rate_qp" else np.log
    nearest = np.abs(axis(trained) - axis(within)[..., None]).argmin(-1)
    return Snapped(nearest, ~((phi >= low) & (phi <= high)))
