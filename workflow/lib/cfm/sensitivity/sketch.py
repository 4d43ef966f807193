"""A sketch of a network's Jacobian at a picture, and what it predicts: importance of blocks and IDSE.

Nothing here runs a network: `cfm.sensitivity.jacobian` makes the sketches. METHODS §1; IDSE-RDO (arXiv:2504.02216).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cfm.codecs.picture import Picture, picture_digest
from cfm.errors import InputError


@dataclass(frozen=True)
class Sketch:
    """K vector-Jacobian products of one picture, one array a plane.

    Attributes
    ----------
    y : array (K, H, W) float32
        d(s_k . f) / dY, feature units per luma step of 1/255.
    cb, cr : array (K, ceil(H/2), ceil(W/2)) float32
        The same for the chroma planes.
    image_id : int
        The picture.
    network, network_sha256 : str
        Name and digest of the network, see `cfm.tasks.loading.network_digest`.
    picture_sha256 : str
        Digest of the planes, 64 hexadecimal digits.
    objectness : bool
        Whether the features were scaled by the square root of the objectness.
    """

    y: np.ndarray
    cb: np.ndarray
    cr: np.ndarray
    image_id: int
    network: str
    network_sha256: str
    picture_sha256: str
    objectness: bool

    @property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Y, Cb, Cr."""
        return self.y, self.cb, self.cr

    @property
    def probes(self) -> int:
        """K."""
        return len(self.y)

    def check_made_for(self, picture: Picture) -> None:
        """Raise `InputError` where this is the sketch of another picture."""
        if self.picture_sha256 != picture_digest(picture):
            raise InputError(
                f"the sketch was made with another picture than picture {self.image_id} as it is now; sketch it again"
            )

    @property
    def mean_weights(self) -> tuple[float, ...]:
        """Per plane: the mean over its samples of sum_k g_k^2, the w of METHODS §1, step 5."""
        return tuple(float(np.square(plane, dtype=np.float64).sum(0).mean()) for plane in self.planes)


def block_sums(plane: np.ndarray, block: int) -> np.ndarray:
    """Sums over blocks of the last two axes: (..., H, W) to (..., ceil(H/block), ceil(W/block)), float64."""
    rows = np.add.reduceat(plane, range(0, plane.shape[-2], block), axis=-2, dtype=np.float64)
    return np.add.reduceat(rows, range(0, plane.shape[-1], block), axis=-1, dtype=np.float64)


def importance_map(sketch: Sketch, block: int = 16) -> np.ndarray:
    """How much the features feel an error in each block.

    Per block: sum_k g_k^2 over the block's samples of all three planes, divided by its number of luma samples. White
    error of unit variance in all planes moves the features by this much a pixel, in the mean over probes.

    Parameters
    ----------
    sketch : Sketch
        Of a picture of (H, W) luma samples.
    block : int
        Side in luma samples, even; chroma blocks have half of it.

    Returns
    -------
    array (ceil(H/block), ceil(W/block)) float64
    """
    energy = sum(
        block_sums(np.square(plane, dtype=np.float64).sum(0), side)
        for plane, side in zip(sketch.planes, _sides(block), strict=True)
    )
    return energy / block_sums(np.ones(sketch.y.shape[1:]), block)


def idse(sketch: Sketch, errors: Sequence[np.ndarray], block: int = 16) -> float:
    """Input-dependent squared error: the predicted squared feature distance of an error, block by block.

    sum_b sum_k (g_k,b . e_b)^2 (METHODS §1, step 3). The dot product of a block runs over its luma samples and the
    chroma samples of the same place together; what couples different blocks is left out. A block that holds the whole
    picture gives the Taylor term of step 1.

    Parameters
    ----------
    sketch : Sketch
        Of the original picture.
    errors : sequence of arrays (H, W), (ceil(H/2), ceil(W/2)) twice
        Decoded minus original, steps of 1/255.
    block : int
        Side in luma samples, even.

    Raises
    ------
    ValueError
        If shapes do not fit or `block` is odd.
    """
    shapes = [plane.shape[1:] for plane in sketch.planes]
    if [error.shape for error in errors] != shapes:
        raise ValueError(f"errors of shapes {[error.shape for error in errors]} where the sketch has {shapes}")
    dots = sum(
        block_sums(plane * error.astype(np.float64), side)
        for plane, error, side in zip(sketch.planes, errors, _sides(block), strict=True)
    )
    return float(np.square(dots).sum())


def picture_error(decoded: Picture, original: Picture) -> tuple[np.ndarray, ...]:
    """Decoded minus original, per plane, float64."""
    return tuple(
        after.astype(np.float64) - before for after, before in zip(decoded.planes, original.planes, strict=True)
    )


def _sides(block: int) -> tuple[int, int, int]:
    if block < 2 or block % 2:
        raise ValueError(f"a block of {block} luma samples has no chroma block: give an even side")
    return block, block // 2, block // 2
