"""IDSE as a distortion for our encoders: raw sketches and the squared error in proportion (METHODS §1, step 5)."""

from __future__ import annotations

import math

import numpy as np

from cfm.codecs.distortion import Distortion
from cfm.errors import ConfigurationError
from cfm.sensitivity.sketch import Sketch


def idse_distortion(sketch: Sketch, tau: float) -> Distortion:
    """D = (IDSE / w + tau SSE) / (1 + tau), w the mean of sum_k g_k^2 over a plane: the squared error on average.

    Parameters
    ----------
    sketch : Sketch
        Of the picture that is to be coded.
    tau : float
        Weight of the squared error, above 0; the larger, the closer to coding for squared error.

    Raises
    ------
    ConfigurationError
        If tau is not a positive number.
    """
    if not (math.isfinite(tau) and tau > 0):
        raise ConfigurationError(f"tau is {tau:g}; give a positive number, such as 0.5")
    # A plane that the network does not look at has the squared error alone.
    seen = [weight > 0 for weight in sketch.mean_weights]
    scaled = tuple(
        np.float32(1 / math.sqrt(weight * (1 + tau))) * plane if weight > 0 else np.zeros_like(plane)
        for plane, weight in zip(sketch.planes, sketch.mean_weights, strict=True)
    )
    share = np.array([tau / (1 + tau) if plane_is_seen else 1.0 for plane_is_seen in seen])
    return Distortion(*sketch.y.shape[1:], sse=share, sketches=scaled)
