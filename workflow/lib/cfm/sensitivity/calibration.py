"""What a network sees of pictures in general, from sketches of training pictures: the static matrix, chroma's weights.

A picture's own sketches are compared with this, shrunk towards it, and replaced by it in the rivals `sse_chroma` and
`static` (METHODS §1).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cfm.errors import InputError
from cfm.provenance import atomic_path
from cfm.sensitivity.gauss_newton import mean_matrix
from cfm.sensitivity.sketch import Sketch

FORMAT = 1
LARGEST_OFFSET = 12  # of chroma's QP, by both standards


@dataclass(frozen=True)
class Calibration:
    """Means over training pictures; each picture counts the same.

    Attributes
    ----------
    network, network_sha256 : str
        Name and digest of the network.
    objectness : bool
        Whether the features were scaled by the square root of the objectness.
    pictures : int
        How many there were.
    weights : array (3,)
        Mean of sum_k g_k^2 over a plane's samples: feature units a squared step of 1/255, of Y, Cb and Cr.
    matrices4 : array (3, 16, 16)
        Mean Gauss-Newton block of 4x4 samples, in raster order, same unit: G_s.
    matrices8 : array (3, 64, 64)
        The same of 8x8 samples.
    """

    network: str
    network_sha256: str
    objectness: bool
    pictures: int
    weights: np.ndarray
    matrices4: np.ndarray
    matrices8: np.ndarray

    @property
    def chroma(self) -> np.ndarray:
        """What the squared error of each plane is worth beside luma's: (3,), the first is 1."""
        return self.weights / self.weights[0]

    @property
    def chroma_qp_offset(self) -> int:
        """The chroma QP offset whose quantiser fits `chroma`: -3 log2 of its geometric mean, within the standards'."""
        offset = -3 * np.log2(np.maximum(self.chroma[1:], 2.0**-8)).mean()
        return int(np.clip(np.rint(offset), -LARGEST_OFFSET, LARGEST_OFFSET))


def calibrate(sketches: Iterable[Sketch]) -> Calibration:
    """The calibration of a network by the sketches of training pictures.

    Raises
    ------
    InputError
        If there are no sketches, they are of different networks, or the network does not see luma at all.
    """
    count, sums, kinds = 0, [np.zeros(3), np.zeros((3, 16, 16)), np.zeros((3, 64, 64))], {}
    for sketch in sketches:
        count += 1
        kinds[(sketch.network, sketch.network_sha256, sketch.objectness)] = sketch.image_id
        sums[0] += sketch.mean_weights
        sums[1] += [mean_matrix(plane, 4) for plane in sketch.planes]
        sums[2] += [mean_matrix(plane, 8) for plane in sketch.planes]
    if not count:
        raise InputError("no sketches to calibrate with; name at least one training picture")
    if len(kinds) > 1:
        raise InputError("the sketches to calibrate with are of different networks; make them with one")
    network, digest, objectness = next(iter(kinds))
    weights, matrices4, matrices8 = (total / count for total in sums)
    if not weights[0] > 0:
        raise InputError(f"{network}: no training picture moves its features; check its weights and its `prepare`")
    return Calibration(network, digest, objectness, count, weights, matrices4, matrices8)


def save_calibration(path: Path | str, calibration: Calibration) -> None:
    """Write an .npz with the fields of a calibration; the same calibration gives the same bytes."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, calibration_format=FORMAT, **asdict(calibration))


def is_calibration(path: Path | str) -> bool:
    """Whether a file is an .npz that `save_calibration` wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "calibration_format.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load_calibration(path: Path | str) -> Calibration:
    """Read what `save_calibration` wrote.

    Raises
    ------
    InputError
        If the file is absent, damaged or of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        if int(found["calibration_format"]) != FORMAT:
            raise ValueError(f"version {int(found['calibration_format'])}")
        arrays = [found[name] for name in ("weights", "matrices4", "matrices8")]
        if [array.shape for array in arrays] != [(3,), (3, 16, 16), (3, 64, 64)]:
            raise ValueError("arrays of other shapes")
        if not all(np.isfinite(array).all() for array in arrays) or not arrays[0][0] > 0:
            raise ValueError("values that are no calibration's")
        return Calibration(
            str(found["network"]),
            str(found["network_sha256"]),
            bool(found["objectness"]),
            int(found["pictures"]),
            *arrays,
        )
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: no sound calibration ({error}); make it with `cfm calibrate`") from None
