"""Sketches, calibrations and distortions of single pictures and folders, for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cfm.codecs.distortion import save_distortion
from cfm.coding import read_picture
from cfm.data.colour import rgb_to_yuv420
from cfm.data.images import read_rgb
from cfm.errors import ConfigurationError
from cfm.features.dataset import training_pictures
from cfm.progress import Progress
from cfm.sensitivity.calibration import Calibration, calibrate, load_calibration, save_calibration
from cfm.sensitivity.jacobian import probe_generator, sketch_picture
from cfm.sensitivity.schemes import SCHEMES, SKETCHED, Mixing, scheme_distortion
from cfm.sensitivity.sketch import Sketch
from cfm.sensitivity.sketch_file import save_sketches
from cfm.tasks.contract import TaskNetwork
from cfm.tasks.loading import load_network, network_digest


def sketches_of(
    network: TaskNetwork, digest: str, pictures: Sequence[Path], probes: int, objectness: bool, seed: int
) -> Iterator[Sketch]:
    """A sketch of every picture for a calibration; the index of a picture is its id."""
    progress = Progress(len(pictures), "pictures", f"calibrating {network.name}, {probes} probes")
    for index, path in enumerate(pictures):
        planes, generator = rgb_to_yuv420(read_rgb(path)), probe_generator(seed, index)
        yield sketch_picture(network, planes, index, probes, generator, objectness, network_sha256=digest)
        progress.step()


def sketch_file(
    picture: Path, output: Path, network: Mapping[str, Any], probes: int, seed: int, objectness: bool
) -> Sketch:
    """Write the raw sketch of a picture; `network` has the arguments of `load_network`."""
    made = _sketch(picture, network, probes, seed, objectness)
    save_sketches(output, [made])
    return made


def distortion_file(
    picture: Path,
    output: Path,
    network: Mapping[str, Any],
    probes: int,
    seed: int,
    scheme: str,
    calibration: Path | None,
    tau: float,
) -> int:
    """Write the distortion of a picture under a scheme; returns the chroma QP offset that goes with it.

    Raises
    ------
    ConfigurationError
        If there is no such scheme, or it is the squared error, which needs no file.
    InputError
        As `scheme_distortion`.
    """
    if scheme not in SCHEMES or scheme == "sse":
        names = ", ".join(name for name in SCHEMES if name != "sse")
        raise ConfigurationError(f"scheme {scheme!r} has no distortion to write; name one of {names}")
    known = load_calibration(calibration) if calibration else None
    sketched = scheme in SKETCHED
    sketch = _sketch(picture, network, probes, seed, scheme == "idse_objectness") if sketched else None
    planes = read_picture(picture)
    made = scheme_distortion(scheme, planes.height, planes.width, known, sketch, Mixing(tau))
    save_distortion(output, made)
    return known.chroma_qp_offset if known and made.weighs_chroma else 0


def calibration_file(
    folder: Path,
    output: Path,
    network: Mapping[str, Any],
    picture_count: int,
    probes: int,
    seed: int,
    objectness: bool,
    device: str = "cpu",
    key: str = "--pictures",
) -> Calibration:
    """Calibrate a network by a random choice of a folder's pictures, and write the calibration.

    Parameters
    ----------
    folder, output : path
        Pictures, in folders below too; the .npz.
    network : mapping
        Arguments of `load_network`, without the device.
    picture_count, probes, seed : int
        How many pictures, random vectors a picture, and the seed of both choices.
    objectness : bool
        Scale the features by the square root of the objectness.
    device : str
        Where the network runs.
    key : str
        What the count is called where the user gave it, for the error.
    """
    pictures = training_pictures(folder, picture_count, np.random.default_rng(seed), key)
    loaded = load_network(device=device, **network)
    made = calibrate(sketches_of(loaded, network_digest(**network), pictures, probes, objectness, seed))
    save_calibration(output, made)
    return made


def _sketch(picture: Path, network: Mapping[str, Any], probes: int, seed: int, objectness: bool) -> Sketch:
    loaded, planes = load_network(**network), read_picture(picture)
    generator = probe_generator(seed, 0)
    return sketch_picture(loaded, planes, 0, probes, generator, objectness, network_sha256=network_digest(**network))
