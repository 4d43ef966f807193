"""Codes or decodes many pictures in a process of its own, whose instructions and threads its environment decides.

    python -m tests.codecs.portable_worker encode|decode THREADS FOLDER COUNT

`encode` writes FOLDER/<family>.zip; `decode` reads it, prints a line for each stream that is an error, and writes what
it decoded of the others to FOLDER/<family>.npy (COUNT, 3, h, w).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from cfm.codecs.learned.codec import LearnedCodec
from cfm.codecs.pack import PackWriter, read_pack
from cfm.codecs.picture import Picture
from cfm.errors import BitstreamError


def mosaic(seed: int) -> Picture:
    """A picture of 16 bits with the look of a feature mosaic: tiles of smooth bumps on noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (3, 6, 8)) ** 3
    planes = np.kron(coarse, np.ones((16, 16))) + rng.normal(0, 0.2, (3, 96, 128))
    planes = (planes - planes.min()) / np.ptp(planes)
    return Picture(tuple(np.rint(plane * 65535).astype(np.uint16) for plane in planes), "rgb", 16)


def codecs(folder: Path) -> dict[str, LearnedCodec]:
    """A codec a family, of the weights in the folder."""
    return {path.stem: LearnedCodec(path.stem, {0: (path, None)}) for path in sorted(folder.glob("*.safetensors"))}


def main(action: str, threads: int, folder: Path, count: int) -> None:
    """Code or decode."""
    torch.set_num_threads(threads)
    for family, codec in codecs(folder).items():
        pack = folder / f"{family}.zip"
        if action == "encode":
            with PackWriter(pack) as writer:
                for seed in range(count):
                    writer.add(f"{seed:012d}", codec.encode(mosaic(seed), 0))
            continue
        streams, pictures = read_pack(pack), []
        for seed in range(count):
            try:
                pictures.append(np.stack(codec.decode(streams[f"{seed:012d}"]).planes))
            except BitstreamError as error:
                print(family, seed, error)
        np.save(folder / f"{family}.npy", np.stack(pictures or [np.zeros((3, 1, 1), np.uint16)]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
