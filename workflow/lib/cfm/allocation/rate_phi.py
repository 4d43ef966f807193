"""Rate as a function of the codec's parameter phi, fitted for each scale, and its inverse.

"phi"          R = a phi + b          MFIBA, eq. 7; phi is the Lagrangian of a trained model
"log_phi"      R = a log(phi) + b     reported beside it
"log_rate_qp"  log R = a QP + b       standard codecs, where phi stands for the QP
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cfm.allocation.fit_quality import FitQuality, fit_quality
from cfm.errors import InputError

KINDS = ("phi", "log_phi", "log_rate_qp")


@dataclass(frozen=True)
class RatePhiModel:
    """Straight lines in the coordinates that `kind` names.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    slope, intercept : array (scales,)
        a and b.
    quality : tuple of FitQuality
        One a scale, of R, or of log R for "log_rate_qp".
    """

    kind: str
    slope: np.ndarray
    intercept: np.ndarray
    quality: tuple[FitQuality, ...]

    def rate(self, phi: np.ndarray) -> np.ndarray:
        """Bits per mosaic sample of every scale, for phi (..., scales)."""
        line = self.slope * _abscissa(self.kind, np.asarray(phi, np.float64)) + self.intercept
        return np.exp(line) if self.kind == "log_rate_qp" else line

    def phi(self, rates: np.ndarray) -> np.ndarray:
        """phi that gives the rates (..., scales) of bits per mosaic sample (MFIBA, eq. 8).

        Where the line has no answer above 0, as "phi" has none for rates below b, this is not above 0 either.
        """
        rates = np.asarray(rates, np.float64)
        with np.errstate(divide="ignore"):
            ordinate = np.log(rates) if self.kind == "log_rate_qp" else rates
        position = (ordinate - self.intercept) / self.slope
        return np.exp(position) if self.kind == "log_phi" else position


def fit_rate_phi(phi: np.ndarray, rates: np.ndarray, kind: str) -> RatePhiModel:
    """Fit one line a scale by least squares.

    Parameters
    ----------
    phi : array (points,)
        Lagrangian of each trained model, above 0, or QP.
    rates : array (scales, points)
        Mean rate of each scale at each point, bits per mosaic sample, above 0.
    kind : str
        One of `KINDS`.

    Raises
    ------
    InputError
        If there are fewer than two points, a rate is not above 0, or the rate does not change with phi.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown rate-phi model {kind!r}; known: {', '.join(KINDS)}")
    if len(np.unique(phi)) < 2 or not (rates > 0).all():
        raise InputError("rate-phi fit: two points and rates above 0 are needed: precode at more points")
    abscissa = _abscissa(kind, np.asarray(phi, np.float64))
    ordinates = np.log(rates) if kind == "log_rate_qp" else rates
    lines = np.array([np.polyfit(abscissa, ordinate, 1) for ordinate in ordinates])
    slope, intercept = lines.T
    if not (slope < 0 if kind == "log_rate_qp" else slope > 0).all():
        scale = int(np.argmax(slope >= 0 if kind == "log_rate_qp" else slope <= 0))
        raise InputError(f"rate-phi fit of scale {scale}: the rate does not follow phi: check the codec's models")
    fitted = lines[:, :1] * abscissa + lines[:, 1:]
    quality = tuple(fit_quality(measured, line) for measured, line in zip(ordinates, fitted, strict=True))
    return RatePhiModel(kind, slope, intercept, quality)


def _abscissa(kind: str, phi: np.ndarray) -> np.ndarray:
    return np.log(phi) if kind == "log_phi" else phi
