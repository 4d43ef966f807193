"""Multiscale feature importance prediction: what coding one scale alone costs the heads.

    for scale i, point q:  (F_0, ..., decoded F_i at q, ..., F_n) -> heads -> losses against the lossless pyramid

`cfm.sensitivity.losses` makes weights of them. MFIBA, section 3.1 and figure 3; METHODS §3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cfm.errors import InputError
from cfm.features.decoding import degraded_pyramids
from cfm.features.precoding import PrecodedScales
from cfm.tasks.contract import TaskNetwork


def scale_losses(
    network: TaskNetwork, features: list[Tensor], prepared: Any, image_id: int, precoded: PrecodedScales
) -> pd.DataFrame:
    """What the heads lose when one scale of a picture is decoded and the others are lossless.

    Parameters
    ----------
    network : TaskNetwork
        Its `task_losses` is the measure.
    features : list of Tensor (1, C_i, h_i, w_i)
        The lossless pyramid.
    prepared : object
        As `network.prepare` gave it.
    image_id : int
        The picture.
    precoded : PrecodedScales
        Streams of every scale at every point.

    Returns
    -------
    pandas.DataFrame
        Columns image_id, scale, point, part, loss; one row a scale, point and part.

    Raises
    ------
    InputError
        If a loss is not finite.
    """
    rows = []
    with torch.no_grad():
        for scale, point, degraded in degraded_pyramids(features, image_id, precoded):
            losses = network.task_losses(degraded, features, prepared)
            rows += [(image_id, scale, point, part, float(loss)) for part, loss in losses.items()]
    table = pd.DataFrame(rows, columns=["image_id", "scale", "point", "part", "loss"])
    if not np.isfinite(table["loss"]).all():
        raise InputError(f"picture {image_id}: a task loss of {network.name} is not finite: leave this picture out")
    return table
