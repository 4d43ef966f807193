"""Sketches on disk: an .npz that holds one picture's sketch or a shard's.

Members of picture i, named `{i:012d}/...`: `y.npy`, `cb.npy`, `cr.npy` (16-bit floats) and `metadata.json` (image_id,
network, network_sha256, picture_sha256, objectness, and `scales`, one factor a plane by which the stored values are
multiplied).
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cfm.errors import InputError
from cfm.provenance import atomic_path
from cfm.sensitivity.sketch import Sketch

PLANES = ("y", "cb", "cr")
LARGEST_STORED = 2.0**15  # leaves the greatest range below it to 16-bit floats
FIELDS = ("image_id", "network", "network_sha256", "picture_sha256", "objectness")


def save_sketches(path: Path, sketches: Iterable[Sketch]) -> None:
    """Write sketches to one .npz, one after the other; the same sketches give the same bytes.

    Values keep 11 bits of precision down to 2^-29 of the plane's largest.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for sketch in sketches:
            _add(archive, sketch)


def _add(archive: zipfile.ZipFile, sketch: Sketch) -> None:
    folder = f"{sketch.image_id:012d}"
    scales = []
    for name, plane in zip(PLANES, sketch.planes, strict=True):
        largest = float(np.abs(plane).max())
        scale = largest / LARGEST_STORED if largest else 1.0
        scales.append(scale)
        buffer = io.BytesIO()
        np.save(buffer, (plane / np.float64(scale)).astype(np.float16))
        archive.writestr(zipfile.ZipInfo(f"{folder}/{name}.npy"), buffer.getvalue())
    metadata = {field: getattr(sketch, field) for field in FIELDS} | {"scales": scales}
    archive.writestr(zipfile.ZipInfo(f"{folder}/metadata.json"), json.dumps(metadata))


def sketched_ids(path: Path) -> list[int]:
    """Ids of the pictures whose sketches a file holds, ascending.

    Raises
    ------
    InputError
        If the file is absent or not a sketch file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted(int(name.split("/")[0]) for name in archive.namelist() if name.endswith("/metadata.json"))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a sketch file ({error}): make it again") from None


def load_sketch(path: Path, image_id: int) -> Sketch:
    """The sketch of one picture.

    Raises
    ------
    InputError
        If the file is absent, damaged, or holds no sketch of that picture.
    """
    folder = f"{image_id:012d}"
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read(f"{folder}/metadata.json"))
            planes = [
                np.load(io.BytesIO(archive.read(f"{folder}/{name}.npy")), allow_pickle=False).astype(np.float32)
                * np.float32(scale)
                for name, scale in zip(PLANES, metadata["scales"], strict=True)
            ]
        return Sketch(*planes, **{field: metadata[field] for field in FIELDS})
    except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: no sound sketch of picture {image_id} ({error}): make it again") from None
