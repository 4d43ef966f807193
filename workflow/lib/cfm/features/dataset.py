"""The feature dataset: random crops of mosaics on which a learned feature codec is trained.

MFIBA, section 4.1, retrains its codec on mosaics of every scale of 40,000 pictures; here each of them gives one crop.
The crops are uint8 arrays that a training can map into memory, in shards that jobs write independently of each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cfm.data.images import read_rgb
from cfm.errors import InputError
from cfm.features.extraction import extract
from cfm.features.mosaic import pack_scale
from cfm.progress import Progress
from cfm.provenance import atomic_path, sha256_of
from cfm.tasks.contract import TaskNetwork

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png"}
STEPS_OF_8_BITS = 257  # 65535 / 255: 16-bit steps in an 8-bit one


def training_pictures(
    folder: Path, count: int, rng: np.random.Generator, key: str = "feature_coding.dataset.pictures"
) -> list[Path]:
    """A random choice of the pictures in a folder and those below, the same on every machine for a generator.

    A smaller choice is the beginning of a larger one. `key` of the configuration says how many, for the error.

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


def shard_generator(seed: int, shard: int) -> np.random.Generator:
    """The generator that places the crops of a shard: of its own, so that no shard's bytes depend on another's."""
    # As a key and not as more entropy: [seed, 0] would be the generator of the seed alone, which chose the pictures.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(shard,)))


def write_shard(
    path: Path, networks: Sequence[TaskNetwork], pictures: Sequence[Path], crop: int, rng: np.random.Generator
) -> None:
    """Write one crop of the "rgb" mosaic of every scale of every picture, whole or not at all.

    Parameters
    ----------
    path : path
        An .npy: an array (n, 3, crop, crop) uint8, the scales of a picture side by side.
    networks : sequence of TaskNetwork
        Each picture goes through all of them.
    pictures : sequence of paths
        Any pictures that `read_rgb` reads; at least one.
    crop : int
        Side of a crop, samples. A mosaic that is smaller is extended by reflection.
    rng : Generator
        Places the crops.

    Raises
    ------
    InputError
        If a picture cannot be read.
    """
    crops = []
    progress = Progress(len(pictures), "pictures", f"feature dataset, shard {path.stem}")
    for picture in pictures:
        rgb = read_rgb(picture)
        for network in networks:
            for scale in extract(network, rgb).features:
                crops.append(random_crop(np.stack(pack_scale(scale, "rgb").picture.planes), crop, rng))
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


def gather_shards(manifest: Path, shards: Sequence[Path], crop: int, settings: Mapping[str, Any]) -> int:
    """List the shards of a dataset in its manifest, and leave no other array beside them.

    A training takes every array of the folder: shards of other settings, and what killed jobs left, are removed.

    Parameters
    ----------
    manifest : path
        A .json, in the folder of the shards: `settings`, `crops` (of all shards) and `shards`, a list of `file`,
        `crops` and `sha256`.
    shards : sequence of paths
        In order.
    crop : int
        Side of their crops, samples.
    settings : mapping
        What decided the crops.

    Returns
    -------
    int
        Crops of all shards.

    Raises
    ------
    InputError
        If a shard is damaged or has crops of another side.
    """
    entries = [{"file": path.name, "crops": _crops_of(path, crop), "sha256": sha256_of(path)} for path in shards]
    total = sum(entry["crops"] for entry in entries)
    listed = {path.name for path in shards}
    for path in manifest.parent.glob("*.npy"):
        if path.name not in listed:
            path.unlink()
    with atomic_path(manifest) as temporary:
        content = {"settings": dict(settings), "crops": total, "shards": entries}
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return total


def _crops_of(path: Path, crop: int) -> int:
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable shard ({error}); delete it and run again") from None
    if shard.dtype != np.uint8 or shard.shape[1:] != (3, crop, crop):
        raise InputError(f"{path}: {shard.dtype} {shard.shape}, not crops of side {crop}; delete it and run again")
    return len(shard)
