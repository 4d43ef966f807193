"""The feature dataset: random crops of mosaics on which a learned feature codec is trained.

MFIBA, section 4.1, retrains its codec on mosaics of every scale of 40,000 pictures; here one picture gives a few crops
of every scale, as uint8 arrays that a training can map into memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cfm.data.images import read_rgb
from cfm.errors import ConfigurationError, InputError
from cfm.features.extraction import extract
from cfm.features.mosaic import pack_scale
from cfm.progress import Progress
from cfm.provenance import atomic_path, sha256_of
from cfm.tasks.contract import TaskNetwork

SETTINGS_NAME = "settings.json"
MANIFEST_NAME = "dataset.json"
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png"}
STEPS_OF_8_BITS = 257  # 65535 / 255: 16-bit steps in an 8-bit one


def training_pictures(
    folder: Path, count: int, rng: np.random.Generator, key: str = "feature_coding.dataset.pictures"
) -> list[Path]:
    """A random choice of the pictures in a folder and those below, the same on every machine for a generator.

    `key` of the configuration says how many, for the error.

    Raises
    ------
    InputError
        If the folder is absent or holds fewer than `count` pictures.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one with pictures")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if len(found) < count:
        raise InputError(f"{folder}: {len(found)} pictures where {count} are asked for: lower {key}")
    return [found[index] for index in rng.permutation(len(found))[:count]]


def write_feature_dataset(
    networks: Sequence[TaskNetwork],
    pictures: Sequence[Path],
    crop: int,
    rng: np.random.Generator,
    folder: Path,
    crops_per_scale: int = 1,
    pictures_per_shard: int = 100,
    identity: str = "",
) -> list[Path]:
    """Write crops of the "rgb" mosaics of every scale of every picture; continue where a killed run stopped.

    Shards that are there and were begun with the same settings are kept; those of other settings are removed first.

    Parameters
    ----------
    networks : sequence of TaskNetwork
        Each picture goes through all of them.
    pictures : sequence of paths
        Any pictures that `read_rgb` reads.
    crop : int
        Side of a crop, samples. A mosaic that is smaller is extended by reflection.
    rng : Generator
        Places the crops; a shard has a generator of its own, so that the bytes do not depend on interruptions.
    folder : path
        Takes `shard-00000.npy` ..., arrays (n, 3, crop, crop) uint8, and `dataset.json`, which lists them.
    crops_per_scale : int
        Crops of one mosaic.
    pictures_per_shard : int
        Pictures whose crops share a file.
    identity : str
        Digest of the networks' weights and of the code: shards that another identity made are made anew.

    Returns
    -------
    list of paths
        The shards, in order.

    Raises
    ------
    ConfigurationError
        If there are no pictures or no networks, or a count is below 1.
    """
    if not pictures or not networks or min(crop, crops_per_scale, pictures_per_shard) < 1:
        raise ConfigurationError(
            f"{folder}: a feature dataset needs pictures, networks and counts of at least 1: check `feature_dataset`"
        )
    pictures = [Path(path) for path in pictures]
    settings = {
        "networks": [network.name for network in networks],
        "pictures": [path.name for path in pictures],
        "crop": crop,
        "crops_per_scale": crops_per_scale,
        "pictures_per_shard": pictures_per_shard,
        "identity": identity,
        "generator": str(rng.bit_generator.state["state"]),
    }
    _begin(folder, settings)
    starts = range(0, len(pictures), pictures_per_shard)
    progress = Progress(len(pictures), "pictures", "feature dataset")
    shards = []
    for index, (start, shard_rng) in enumerate(zip(starts, rng.spawn(len(starts)), strict=True)):
        path = folder / f"shard-{index:05d}.npy"
        chosen = pictures[start : start + pictures_per_shard]
        if path.exists():
            progress.step(count=len(chosen))
        else:
            _write_shard(path, networks, chosen, crop, crops_per_scale, shard_rng, progress)
        shards.append(path)
    _write_manifest(folder, settings, shards)
    return shards


def _begin(folder: Path, settings: dict[str, Any]) -> None:
    path = folder / SETTINGS_NAME
    text = json.dumps(settings, indent=1) + "\n"
    if path.exists() and path.read_text() == text:
        return
    for stale in [*folder.glob("shard-*.npy"), folder / MANIFEST_NAME]:
        stale.unlink(missing_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def _write_shard(
    path: Path,
    networks: Sequence[TaskNetwork],
    pictures: Sequence[Path],
    crop: int,
    crops_per_scale: int,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    crops = []
    for picture in pictures:
        rgb = read_rgb(picture)
        for network in networks:
            for scale in extract(network, rgb).features:
                planes = np.stack(pack_scale(scale, "rgb").picture.planes)
                crops += [random_crop(planes, crop, rng) for _ in range(crops_per_scale)]
        progress.step()
    with atomic_path(path) as temporary:
        np.save(temporary, np.stack(crops))


def random_crop(planes: np.ndarray, crop: int, rng: np.random.Generator) -> np.ndarray:
    """A crop (3, crop, crop) uint8 of 16-bit planes (3, H, W) at a random place, extended by reflection if needed."""
    missing = [max(0, crop - side) for side in planes.shape[1:]]
    if any(missing):
        planes = np.pad(planes, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric")
    top, left = (int(rng.integers(side - crop + 1)) for side in planes.shape[1:])
    window = planes[:, top : top + crop, left : left + crop].astype(np.uint32)
    return ((window + STEPS_OF_8_BITS // 2) // STEPS_OF_8_BITS).astype(np.uint8)


def _write_manifest(folder: Path, settings: dict[str, Any], shards: Sequence[Path]) -> None:
    listed = [
        {"file": path.name, "crops": len(np.load(path, mmap_mode="r")), "sha256": sha256_of(path)} for path in shards
    ]
    with atomic_path(folder / MANIFEST_NAME) as temporary:
        temporary.write_text(json.dumps({"settings": settings, "shards": listed}, indent=1) + "\n")
