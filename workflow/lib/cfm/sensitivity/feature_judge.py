"""The network itself as the judge of an encoder's partition and delta-QPs: feature-distance RDO.

    D = (|f(x) - f(x^)|^2 / w + tau |x - x^|^2) / (1 + tau)

with x^ the picture in which a window around the block shows what has been decoded so far and the block itself the
candidate; w and the weights of chroma are the calibration's. Exact, and a forward pass for every candidate: the paper's
upper reference, for a few pictures (METHODS §1, step 7).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cfm.codecs.judge import Block
from cfm.codecs.picture import Picture
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.errors import InputError
from cfm.sensitivity.calibration import Calibration
from cfm.sensitivity.jacobian import feature_distance
from cfm.tasks.contract import TaskNetwork

WINDOW = 64  # luma samples around the block in which decoded samples are seen


class FeatureJudge:
    """A judge of `cfm.codecs.judge` for one picture.

    Parameters
    ----------
    network : TaskNetwork
        Its features are compared.
    picture : Picture
        The original, 8-bit "yuv420".
    calibration : Calibration
        Of the network, by plain features.
    tau : float
        Weight of the squared error beside the feature distance.
    window : int
        Luma samples around a block in which decoded samples are seen, even; beyond them stands the original.

    Raises
    ------
    InputError
        If the features of the original are not finite.
    """

    def __init__(
        self, network: TaskNetwork, picture: Picture, calibration: Calibration, tau: float, window: int = WINDOW
    ):
        self.network, self.tau, self.window = network, tau, window
        self.unit, self.chroma = float(calibration.weights[0]), calibration.chroma
        self.original = tuple(plane.astype(np.float32) for plane in picture.planes)
        self.decoded = tuple(plane.copy() for plane in self.original)
        self.reference = self._features(self.original)
        if not all(bool(torch.isfinite(scale).all()) for scale in self.reference):
            raise InputError(f"the features of {network.name} are not finite at this picture: check its weights")

    def distortions(self, y: int, x: int, candidates: Sequence[Block]) -> np.ndarray:
        """Distortion of every candidate for the region at luma (y, x), in units of luma's squared error: (n,)."""
        height, width = candidates[0][0].shape
        seen, places = [], [_place(plane, y, x, height, width) for plane in range(3)]
        for plane, (original, decoded) in enumerate(zip(self.original, self.decoded, strict=True)):
            shown = original.copy()
            wide = _place(
                plane,
                max(0, y - self.window),
                max(0, x - self.window),
                height + min(y, self.window) + self.window,
                width + min(x, self.window) + self.window,
            )
            shown[wide] = decoded[wide]
            seen.append(shown)
        found = []
        for candidate in candidates:
            squared = 0.0
            for plane, (place, block) in enumerate(zip(places, candidate, strict=True)):
                seen[plane][place] = block
                error = self.original[plane][place] - block
                squared += float(self.chroma[plane]) * float(np.square(error, dtype=np.float64).sum())
            moved = feature_distance(self._features(seen), self.reference)
            found.append((moved / self.unit + self.tau * squared) / (1 + self.tau))
        return np.array(found)

    def commit(self, y: int, x: int, candidate: Block) -> None:
        """Take note of how a region is decoded."""
        height, width = candidate[0].shape
        for plane, block in enumerate(candidate):
            self.decoded[plane][_place(plane, y, x, height, width)] = block

    def _features(self, planes: Sequence[np.ndarray]) -> list[torch.Tensor]:
        with torch.no_grad():
            rgb = planes_to_rgb(*(torch.from_numpy(plane) for plane in planes))
            return list(self.network.features(self.network.prepare(rgb)))


def _place(plane: int, y: int, x: int, height: int, width: int) -> tuple[slice, slice]:
    """Where a region of luma samples lies in a plane; y and x are even."""
    if plane == 0:
        return slice(y, y + height), slice(x, x + width)
    return slice(y // 2, (y + height + 1) // 2), slice(x // 2, (x + width + 1) // 2)
