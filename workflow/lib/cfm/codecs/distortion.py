"""The distortion that our encoders minimise, as data: a quadratic form of the error of every block of 4x4 samples.

For the error e of a block b of plane p in macroblock m

    D(e) = sse_p |e|^2 + w_pm (sum_k f_pmk (T e)_k^2 + sum_i x_pi e_i^2 + sum_r (u_pr . e)^2)
           + sum_j (g_jb . e)^2 + sum_i P_bi e_i^2

with T the orthonormal 4x4 transform of AVC, f weights in its domain, x weights of samples, u a matrix's low-rank
factors, g sketches of a Jacobian and P weights of single samples, such as the sums of the squares of sketches (METHODS
§1, after the IDSE-RDO paper). Without any of them D is the sum of squared errors. An encoder adds lambda times the
bits, with the lambda of its own quantiser: whoever makes the data sees to it that D is of the size of the squared error
on average.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cfm.codecs.picture import Picture, picture_digest
from cfm.errors import ConfigurationError, InputError
from cfm.provenance import atomic_path

PLANES = ("y", "cb", "cr")
WEIGHTS, MATRICES = ("sse", "plain"), ("weights", "frequency", "samples", "factors")
FORMAT = 1
DECISIONS = ("partition", "mode", "levels", "delta_qp")  # that can use the data or leave them


@dataclass(frozen=True)
class Distortion:
    """Data of the distortion of one picture of h x w luma samples; what is absent does not count.

    Attributes
    ----------
    height, width : int
        Luma samples.
    sse : array (3,)
        Weight of the squared error in Y, Cb and Cr.
    weights : array (3, ceil(h / 16), ceil(w / 16)) or None
        w: a weight a macroblock, by plane.
    frequency : array (3, 16) or (3, ceil(h / 16), ceil(w / 16), 16) or None
        f: weights of the coefficients of the 4x4 transform in raster order; of all macroblocks or of each.
    samples : array (3, 16) or None
        x: weights of the samples of a 4x4 block.
    factors : array (3, R, 16) or None
        u: rows in the domain of samples.
    sketches : tuple of arrays (K, h, w), (K, ceil(h / 2), ceil(w / 2)) twice, or None
        g: sketches of the network's Jacobian.
    weighs_chroma : bool
        Whether the data say what chroma is worth beside luma; otherwise an encoder multiplies the distortion of chroma
        by a weight of its own, which fits the squared error as people see it.
    pixels : tuple of arrays (h, w), (ceil(h / 2), ceil(w / 2)) twice, or None
        P: weights of single samples, float32.
    plain : array (3,)
        Weight of the squared error in Y, Cb and Cr where a decision leaves the data and `sse` out; see `DECISIONS`.
    picture_sha256 : str
        Digest of the picture that the data were made from; empty where they are of none, or it is not known.

    Raises
    ------
    InputError
        If a shape does not fit or a value is not finite, or a weight is below 0.
    """

    height: int
    width: int
    sse: np.ndarray = field(default_factory=lambda: np.ones(3))
    weights: np.ndarray | None = None
    frequency: np.ndarray | None = None
    samples: np.ndarray | None = None
    factors: np.ndarray | None = None
    sketches: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    weighs_chroma: bool = False
    pixels: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    plain: np.ndarray = field(default_factory=lambda: np.ones(3))
    picture_sha256: str = ""

    def __post_init__(self) -> None:
        rows, columns = -(-self.height // 16), -(-self.width // 16)
        self._check("sse", (3,))
        self._check("plain", (3,))
        self._check("weights", (3, rows, columns))
        by_macroblock = np.ndim(self.frequency) == 4
        self._check("frequency", (3, rows, columns, 16) if by_macroblock else (3, 16))
        self._check("samples", (3, 16))
        self._check("factors", (3, None, 16), signed=True)
        half = ((self.height + 1) // 2, (self.width + 1) // 2)
        shapes = ((self.height, self.width), half, half)
        for name, plane, shape in zip(PLANES, self.sketches or (), shapes, strict=False):
            _check_array(f"sketches of {name}", plane, (None, *shape), signed=True)
        for name, plane, shape in zip(PLANES, self.pixels or (), shapes, strict=False):
            _check_array(f"pixels of {name}", plane, shape, signed=False)
        if self.sketches and len({plane.shape[0] for plane in self.sketches}) > 1:
            raise InputError("distortion: the planes have different numbers of sketches; make the file again")

    def _check(self, name: str, shape: tuple[int | None, ...], signed: bool = False) -> None:
        if getattr(self, name) is not None:
            _check_array(name, getattr(self, name), shape, signed)

    def check_fits(self, picture: Picture) -> None:
        """Raise `InputError` where this is for a picture of another size, or was made from another picture."""
        if (self.height, self.width) != (picture.height, picture.width):
            raise InputError(
                f"the distortion is for {self.width}x{self.height} samples, the picture has "
                f"{picture.width}x{picture.height}; sketch this picture"
            )
        if self.picture_sha256 and self.picture_sha256 != picture_digest(picture):
            raise InputError("the distortion was made from another picture than this one; sketch this picture")


def _check_array(name: str, values: np.ndarray, shape: tuple[int | None, ...], signed: bool) -> None:
    fits = values.ndim == len(shape) and all(
        wanted is None or wanted == found for wanted, found in zip(shape, values.shape, strict=False)
    )
    if not fits:
        wanted = "x".join("any" if side is None else str(side) for side in shape)
        raise InputError(f"distortion: {name} is {'x'.join(map(str, values.shape))}, not {wanted}; make the file again")
    if not np.isfinite(values).all():
        raise InputError(f"distortion: {name} has values that are not finite; make the file again")
    if not signed and (values < 0).any():
        raise InputError(f"distortion: {name} has values below 0; make the file again")


def check_decisions(decisions: Sequence[str]) -> None:
    """Raise `ConfigurationError` where one of the names is none of `DECISIONS`."""
    for name in decisions:
        if name not in DECISIONS:
            raise ConfigurationError(f"no decision is called {name!r}; name some of {', '.join(DECISIONS)}")


def save_distortion(path: Path | str, distortion: Distortion) -> None:
    """Write an .npz: `format`, `height`, `width` and what there is; planes as `sketches_y`, `pixels_y` and so on."""
    arrays = {name: getattr(distortion, name) for name in (*WEIGHTS, *MATRICES)}
    for kind in ("sketches", "pixels"):
        for name, plane in zip(PLANES, getattr(distortion, kind) or (), strict=False):
            arrays[f"{kind}_{name}"] = plane.astype(np.float32)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            format=FORMAT,
            height=distortion.height,
            width=distortion.width,
            weighs_chroma=distortion.weighs_chroma,
            picture_sha256=distortion.picture_sha256,
            **{name: values for name, values in arrays.items() if values is not None},
        )


def is_distortion(path: Path | str) -> bool:
    """Whether a file is an .npz that `save_distortion` wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "format.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load_distortion(path: Path | str) -> Distortion:
    """Read what `save_distortion` wrote.

    Raises
    ------
    InputError
        If the file is absent, damaged, of another kind, or its content does not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        if int(found["format"]) != FORMAT:
            raise InputError(f"{path}: a distortion file of version {int(found['format'])}; make it again")
        planes = {
            kind: tuple(found[f"{kind}_{name}"] for name in PLANES)
            for kind in ("sketches", "pixels")
            if f"{kind}_y" in found
        }
        arrays = {name: found.get(name) for name in MATRICES}
        weighs_chroma = bool(found.get("weighs_chroma", False))
        return Distortion(
            int(found["height"]),
            int(found["width"]),
            found["sse"],
            **arrays,
            **planes,
            plain=found.get("plain", np.ones(3)),
            weighs_chroma=weighs_chroma,
            picture_sha256=str(found.get("picture_sha256", "")),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a distortion file ({error}); make it with `cfm sketch`") from None
