"""The schemes of the IDSE study: what a picture's sketches and a calibration make of an encoder's distortion.

    sse               the squared error: no data
    sse_chroma        squared error, chroma weighted as the network sees it: one constant a plane
    static            one matrix on 4x4 blocks for all pictures, G_s of the calibration
    idse_pixel        the picture's own weights of samples, sum_k g_k^2 (the diagonal of the block's form)
    idse_sketch       the picture's raw sketches, (g_k . e)^2: the paper's method as it stands
    idse              the picture's Gauss-Newton blocks pooled over every macroblock, shrunk towards G_s
    idse_objectness   one scalar a macroblock times G_s, of features scaled by the root of the objectness, likewise

The last four are mixed as D = (D_own / w + tau D_base) / (1 + tau), with w the mean of sum_k g_k^2 a luma sample: on
average the distortion stays of the size of the squared error, and the codec's own lambda stands. D_base is the squared
error in the paper's two schemes and the static form in ours. METHODS §1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cfm.codecs.distortion import Distortion
from cfm.errors import ConfigurationError, InputError
from cfm.sensitivity.calibration import Calibration
from cfm.sensitivity.gauss_newton import MACROBLOCK, frequency_diagonal, pooled_frequencies
from cfm.sensitivity.sketch import Sketch

CLIPPED = 99.5  # percentile of a picture's weights; what is above counts as much
NORMALISATIONS = ("picture", "dataset")


class Mixing(NamedTuple):
    """How a picture's own form is mixed with the base.

    Attributes
    ----------
    tau : float
        Weight of the base beside the picture's own form; above 0.
    normalise : str
        What the own form is divided by: the mean of this "picture", or that of the calibration's pictures, the
        "dataset", which lets pictures that the network feels more have more bits.
    """

    tau: float = 0.25
    normalise: str = "dataset"


class Given(NamedTuple):
    """What a scheme may look at."""

    height: int
    width: int
    calibration: Calibration | None
    sketch: Sketch | None
    mixing: Mixing


def static_frequency(calibration: Calibration) -> np.ndarray:
    """G_s in the 4x4 transform's domain, for luma's mean weight 1: (3, 16)."""
    # Where a network sees nothing of a frequency, rounding may leave less than nothing.
    return np.maximum(frequency_diagonal(calibration.matrices4) / calibration.weights[0], 0)


def clipped(weights: np.ndarray) -> np.ndarray:
    """Weights (...) with those above their 99.5th percentile lowered to it (METHODS §1, step 5)."""
    return np.minimum(weights, np.percentile(weights, CLIPPED))


def macroblock_frequencies(sketch: Sketch) -> np.ndarray:
    """Pooled Gauss-Newton diagonals of every macroblock, of Y, Cb and Cr: (3, rows, columns, 16)."""
    planes = zip(sketch.planes, MACROBLOCK, strict=True)
    return np.stack([pooled_frequencies(plane, area) for plane, area in planes])


def macroblock_scalars(frequencies: np.ndarray, static: np.ndarray) -> np.ndarray:
    """How many times G_s every macroblock's form is: (rows, columns).

    The estimate of the greatest likelihood where coefficients of g are independent and normal with variances s G_s: the
    mean of their squares, each divided by its variance under G_s. It uses every coefficient, while the quotient of
    energies hangs on the few largest. Luma has four times the samples of a chroma plane.

    Parameters
    ----------
    frequencies : array (3, rows, columns, 16)
        From `macroblock_frequencies`.
    static : array (3, 16)
        G_s in the same unit; coefficients without weight are left out.
    """
    seen = static > 1e-9 * static.max()
    counts = np.where(seen, np.array([4.0, 1.0, 1.0])[:, None], 0.0)
    shares = counts / np.where(seen, static, 1.0)
    return np.einsum("pk,prck->rc", shares, frequencies) / counts.sum()


def scheme_distortion(
    scheme: str,
    height: int,
    width: int,
    calibration: Calibration | None = None,
    sketch: Sketch | None = None,
    mixing: Mixing | None = None,
) -> Distortion | None:
    """The distortion of a picture of height x width luma samples under a scheme; None is the squared error.

    Parameters
    ----------
    scheme : str
        One of `SCHEMES`.
    height, width : int
        Luma samples.
    calibration : Calibration or None
        Of the network, with the sketch's kind of features; needed by all but "sse", "idse_pixel" and "idse_sketch".
    sketch : Sketch or None
        Of this picture; needed by those that begin with "idse".
    mixing : Mixing or None
        Of a picture's own form with the base; the default's where absent.

    Raises
    ------
    ConfigurationError
        If there is no such scheme, or tau or the normalisation is not one.
    InputError
        If the sketch or the calibration is missing, or one does not belong to the other.
    """
    given = Given(height, width, calibration, sketch, mixing or Mixing())
    if scheme not in SCHEMES:
        raise ConfigurationError(f"unknown scheme {scheme!r}; name one of {', '.join(SCHEMES)}")
    if not (math.isfinite(given.mixing.tau) and given.mixing.tau > 0):
        raise ConfigurationError(f"tau is {given.mixing.tau:g}; give a positive number, such as 0.5")
    if given.mixing.normalise not in NORMALISATIONS:
        raise ConfigurationError(f"normalise: {given.mixing.normalise!r}; name one of {', '.join(NORMALISATIONS)}")
    if scheme in CALIBRATED and calibration is None:
        raise InputError(f"the scheme {scheme} needs a calibration of the network; make it with `cfm calibrate`")
    if scheme in SKETCHED and sketch is None:
        raise InputError(f"the scheme {scheme} needs a sketch of the picture; make it with `cfm sketch`")
    if scheme in CALIBRATED and scheme in SKETCHED:
        _check_same(sketch, calibration)
    made = SCHEMES[scheme](given)
    return replace(made, picture_sha256=sketch.picture_sha256) if scheme in SKETCHED else made


def _check_same(sketch: Sketch, calibration: Calibration) -> None:
    """Raise `InputError` where a sketch and a calibration are of different networks or kinds of features."""
    if sketch.network_sha256 != calibration.network_sha256:
        raise InputError(
            f"the sketch is of {sketch.network} ({sketch.network_sha256[:8]}), the calibration of "
            f"{calibration.network} ({calibration.network_sha256[:8]}): their digests differ; make both "
            "with the same network"
        )
    if sketch.objectness != calibration.objectness:
        raise InputError(
            "the features of the sketch or of the calibration were scaled by objectness, the other's not; make both "
            "alike"
        )


def _sse(given: Given) -> None:
    return None


def _sse_chroma(given: Given) -> Distortion:
    chroma = given.calibration.chroma
    return Distortion(given.height, given.width, sse=chroma, plain=chroma, weighs_chroma=True)


def _small_forms(given: Given, **data: np.ndarray) -> Distortion:
    """Frequency weights, and those of macroblocks, alone; decisions without them weigh chroma alike."""
    return Distortion(
        given.height, given.width, sse=np.zeros(3), plain=given.calibration.chroma, weighs_chroma=True, **data
    )


def _static(given: Given) -> Distortion:
    return _small_forms(given, frequency=static_frequency(given.calibration))


def _idse_pixel(given: Given) -> Distortion:
    tau, sketch = given.mixing.tau, given.sketch
    share, pixels = _seen_share(sketch, tau), []
    for plane in sketch.planes:
        weights = clipped(np.square(plane, dtype=np.float64).sum(0))
        mean = weights.mean()
        pixels.append((weights / (mean * (1 + tau)) if mean > 0 else weights).astype(np.float32))
    return Distortion(given.height, given.width, sse=share, pixels=tuple(pixels))


def _idse_sketch(given: Given) -> Distortion:
    tau, sketch = given.mixing.tau, given.sketch
    scaled = tuple(
        np.float32(1 / math.sqrt(weight * (1 + tau))) * plane if weight > 0 else np.zeros_like(plane)
        for plane, weight in zip(sketch.planes, sketch.mean_weights, strict=True)
    )
    return Distortion(given.height, given.width, sse=_seen_share(sketch, tau), sketches=scaled)


def _seen_share(sketch: Sketch, tau: float) -> np.ndarray:
    """Weight of the squared error by plane; a plane that the network does not look at has it alone."""
    return np.array([tau / (1 + tau) if weight > 0 else 1.0 for weight in sketch.mean_weights])


def _idse(given: Given) -> Distortion:
    tau, static = given.mixing.tau, static_frequency(given.calibration)
    own = macroblock_frequencies(given.sketch) / given.calibration.weights[0]
    scalars = macroblock_scalars(own, static)
    own *= (clipped(scalars) / np.maximum(scalars, 1e-30))[None, :, :, None]
    if given.mixing.normalise == "picture":
        own /= max(clipped(scalars).mean(), 1e-30)
    mixed = (own + tau * static[:, None, None]) / (1 + tau)
    return _small_forms(given, frequency=mixed)


def _idse_objectness(given: Given) -> Distortion:
    tau, static = given.mixing.tau, static_frequency(given.calibration)
    own = macroblock_frequencies(given.sketch) / given.calibration.weights[0]
    scalars = clipped(macroblock_scalars(own, static))
    if given.mixing.normalise == "picture":
        scalars /= max(scalars.mean(), 1e-30)
    weights = np.broadcast_to((scalars + tau) / (1 + tau), (3, *scalars.shape))
    return _small_forms(given, weights=weights, frequency=static)


SCHEMES: dict[str, Callable[[Given], Distortion | None]] = {
    "sse": _sse,
    "sse_chroma": _sse_chroma,
    "static": _static,
    "idse_pixel": _idse_pixel,
    "idse_sketch": _idse_sketch,
    "idse": _idse,
    "idse_objectness": _idse_objectness,
}
CALIBRATED = ("sse_chroma", "static", "idse", "idse_objectness")
SKETCHED = ("idse_pixel", "idse_sketch", "idse", "idse_objectness")
