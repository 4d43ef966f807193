"""Where training crops come from: a folder of pictures, or shards of an array on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from cfm.errors import InputError

CACHE_BYTES = 1_000_000_000
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg"}


class CropSource(Protocol):
    """Hands out random crops."""

    def crops(self, rng: np.random.Generator, count: int, size: int) -> np.ndarray:
        """Draw crops, uint8 (count, 3, size, size)."""
        ...


class PictureCrops:
    """Crops of picture files, which are decoded when first drawn and kept while `cache_bytes` hold them.

    Parameters
    ----------
    paths : sequence of Path
        Pictures that Pillow reads; pictures smaller than a crop are continued by replication.
    cache_bytes : int
        Most bytes of decoded pictures to keep.

    Raises
    ------
    InputError
        If there is no picture, or one that cannot be read.
    """

    def __init__(self, paths: Sequence[Path], cache_bytes: int = CACHE_BYTES):
        if not paths:
            raise InputError("no training pictures: give a folder that holds PNG or JPEG files")
        self.paths = list(paths)
        self.cache_left_bytes = cache_bytes
        self._decoded: dict[int, np.ndarray] = {}

    @classmethod
    def of_folder(cls, folder: Path | str, cache_bytes: int = CACHE_BYTES) -> PictureCrops:
        """All PNG and JPEG files of a folder, in the order of their names."""
        folder = Path(folder)
        paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        if not paths:
            raise InputError(f"{folder}: no PNG or JPEG files to train on")
        return cls(paths, cache_bytes)

    def crops(self, rng: np.random.Generator, count: int, size: int) -> np.ndarray:
        """Draw crops, uint8 (count, 3, size, size); half of them mirrored."""
        return np.stack([self._crop(rng, size) for _ in range(count)])

    def picture(self, index: int) -> np.ndarray:
        """The picture at `index`, (3, h, w) of uint8."""
        if index in self._decoded:
            return self._decoded[index]
        try:
            with Image.open(self.paths[index]) as file:
                picture = np.ascontiguousarray(np.asarray(file.convert("RGB")).transpose(2, 0, 1))
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{self.paths[index]}: not a readable picture ({error}); replace or remove it") from None
        if picture.nbytes <= self.cache_left_bytes:
            self.cache_left_bytes -= picture.nbytes
            self._decoded[index] = picture
        return picture

    def _crop(self, rng: np.random.Generator, size: int) -> np.ndarray:
        crop = random_crop(self.picture(int(rng.integers(len(self.paths)))), rng, size)
        return crop[:, :, ::-1] if rng.integers(2) else crop


class ShardCrops:
    """Crops of arrays (n, 3, h, w) of uint8 in .npy files, which stay on disk.

    Raises
    ------
    InputError
        If there is no shard, or one of another type or shape.
    """

    def __init__(self, paths: Sequence[Path]):
        if not paths:
            raise InputError("no shards to train on: the feature dataset is empty")
        self._shards = [_memory_map(Path(path)) for path in paths]
        self._ends = np.cumsum([len(shard) for shard in self._shards])

    @classmethod
    def of_folder(cls, folder: Path | str) -> ShardCrops:
        """All .npy files of a folder, in the order of their names."""
        return cls(sorted(Path(folder).glob("*.npy")))

    def crops(self, rng: np.random.Generator, count: int, size: int) -> np.ndarray:
        """Draw crops, uint8 (count, 3, size, size)."""
        return np.stack([random_crop(self._item(int(rng.integers(self._ends[-1]))), rng, size) for _ in range(count)])

    def _item(self, index: int) -> np.ndarray:
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return self._shards[shard][index - int(self._ends[shard]) + len(self._shards[shard])]


def random_crop(picture: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """A random window (3, size, size) of a picture (3, h, w), continued by replication where it is smaller."""
    height, width = picture.shape[1:]
    if height < size or width < size:
        missing = ((0, 0), (0, max(0, size - height)), (0, max(0, size - width)))
        picture = np.pad(picture, missing, mode="edge")
    top = int(rng.integers(picture.shape[1] - size + 1))
    left = int(rng.integers(picture.shape[2] - size + 1))
    return picture[:, top : top + size, left : left + size]


def _memory_map(path: Path) -> np.ndarray:
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable array ({error}); remove it and make the dataset anew") from None
    if shard.ndim != 4 or shard.shape[1] != 3 or shard.dtype != np.uint8 or not len(shard):
        raise InputError(f"{path}: crops (n, 3, h, w) of uint8 expected, not {shard.shape} {shard.dtype}")
    return shard
