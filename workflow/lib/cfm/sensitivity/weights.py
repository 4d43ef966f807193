"""The weights of the scales that each allocation scheme takes from the measured losses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cfm.sensitivity.losses import LossCube, ground_truth_weights, importance_weights, relative_losses
from cfm.sensitivity.saba import middle_point, sensitivities

WEIGHTED_SCHEMES = ("mfiba", "saba")


def scheme_weights(cube: LossCube, scheme: str, reference: str = "lossless") -> np.ndarray:
    """Weights (pictures, scales), sum 1: MFIP's over all points, or SABA's sensitivities at the middle point.

    Parameters
    ----------
    cube : LossCube
        The measured losses.
    scheme : {"mfiba", "saba"}
        Whose weights.
    reference : {"lossless", "detections", "ground_truth"}
        What the losses were measured against; MFIP's weights of drops against labels are those of the published code.

    Raises
    ------
    ValueError
        If the scheme has no weights.
    """
    if scheme == "mfiba" and reference == "ground_truth":
        return ground_truth_weights(cube.values.mean(axis=1))
    if scheme == "mfiba":
        return importance_weights(relative_losses(cube))
    if scheme == "saba":
        return sensitivities(cube, middle_point(cube.points))
    raise ValueError(f"the scheme {scheme!r} has no weights; {', '.join(WEIGHTED_SCHEMES)} have")


def weights_table(cube: LossCube, reference: str = "lossless") -> pd.DataFrame:
    """The weights of all schemes, one row a scheme, picture and scale: image_id, scheme, scale, weight."""
    pictures, scales = len(cube.image_ids), len(cube.scales)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "image_id": np.repeat(np.asarray(cube.image_ids, np.int64), scales),
                    "scheme": scheme,
                    "scale": np.tile(np.asarray(cube.scales, np.int32), pictures),
                    "weight": scheme_weights(cube, scheme, reference).ravel(),
                }
            )
            for scheme in WEIGHTED_SCHEMES
        ],
        ignore_index=True,
    )
