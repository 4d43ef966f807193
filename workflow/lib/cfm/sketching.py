"""Sketches, calibrations and distortions of single pictures and folders, for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cfm.codecs.distortion import save_distortion
from cfm.coding import read_picture
from cfm.configuration.studies import built_in_schemes
from cfm.data.colour import rgb_to_yuv420
from cfm.data.images import read_rgb
from cfm.errors import ConfigurationError, InputError
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
        try:
            made = sketch_picture(network, planes, index, probes, generator, objectness, network_sha256=digest)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        yield made
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
    seed: int,
    scheme: str,
    calibration: Path | None,
    probes: int | None = None,
    tau: float | None = None,
    normalise: str | None = None,
) -> int:
    """Write the distortion of a picture under a scheme; returns the chroma QP offset that goes with it.

    Of `probes`, `tau` and `normalise` those are the study's that are not given.

    Raises
    ------
    ConfigurationError
        If there is no such scheme, or it is the squared error, which needs no file.
    InputError
        As `scheme_distortion`, and if the calibration is of another network.
    """
    if scheme not in SCHEMES or scheme == "sse":
        names = ", ".join(name for name in SCHEMES if name != "sse")
        raise ConfigurationError(f"scheme {scheme!r} has no distortion to write; name one of {names}")
    row = built_in_schemes()[scheme]
    known = load_calibration(calibration) if calibration else None
    if known and known.network_sha256 != network_digest(**network):
        raise InputError(
            f"{calibration}: of another network ({known.network}; the digests differ): make it with `cfm calibrate` "
            "and this one"
        )
    objectness = scheme == "idse_objectness"
    sketch = _sketch(picture, network, probes or row.probes, seed, objectness) if scheme in SKETCHED else None
    planes = read_picture(picture)
    mixing = Mixing(row.tau if tau is None else tau, normalise or row.normalise)
    made = scheme_distortion(scheme, planes.height, planes.width, known, sketch, mixing)
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
