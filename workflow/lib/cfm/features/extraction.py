"""From a picture's samples to the feature pyramid of a task network."""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cfm.tasks.contract import TaskNetwork


class Extracted(NamedTuple):
    """A picture's pyramid and what the network's heads need beside it.

    Attributes
    ----------
    features : list of Tensor (1, C_i, h_i, w_i)
        Finest scale first.
    prepared : object
        The network's own geometry and input.
    """

    features: list[Tensor]
    prepared: Any


def image_tensor(rgb: np.ndarray) -> Tensor:
    """(h, w, 3) uint8 RGB as (3, h, w) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))).float() / 255


def extract(network: TaskNetwork, rgb: np.ndarray) -> Extracted:
    """The pyramid of a picture, without gradients.

    Parameters
    ----------
    network : TaskNetwork
        Frozen.
    rgb : array (h, w, 3) uint8
        The picture.
    """
    # A network that keeps its tensors in a cycle of references would fill the memory with those of past pictures.
    gc.collect(1)
    with torch.no_grad():
        prepared = network.prepare(image_tensor(rgb))
        return Extracted([scale.detach() for scale in network.features(prepared)], prepared)
