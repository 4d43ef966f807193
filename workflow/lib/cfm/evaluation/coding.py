"""Pictures of a shard to streams, and the conversions between files' RGB and what a codec takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfm.codecs.pack import PackWriter
from cfm.codecs.picture import Picture
from cfm.data.colour import rgb_to_yuv420, yuv420_to_rgb
from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture
from cfm.progress import Progress


def to_layout(rgb: np.ndarray, layout: str) -> Picture:
    """(h, w, 3) uint8 RGB as the 8-bit picture that a codec of this layout ("yuv420" or "rgb") takes."""
    if layout == "yuv420":
        return rgb_to_yuv420(rgb)
    return Picture(tuple(np.ascontiguousarray(rgb[..., channel]) for channel in range(3)), "rgb", 8)


def to_rgb(picture: Picture) -> np.ndarray:
    """The (h, w, 3) uint8 RGB samples of an 8-bit picture of either layout."""
    return yuv420_to_rgb(picture) if picture.layout == "yuv420" else np.stack(picture.planes, axis=-1)


def encode_pictures(
    codec: Any,
    point: int,
    pictures: Sequence[SourcePicture],
    pack: Path,
    guide: Callable[[int, Picture], dict[str, Any]] | None = None,
) -> pd.DataFrame:
    """Encode a shard at one operating point.

    Parameters
    ----------
    codec : codec
        See the contract in `cfm.codecs.registry`.
    point : int
        QP or index of a trained model.
    pictures : sequence of SourcePicture
        A shard.
    pack : path
        The zip of streams to write.
    guide : callable or None
        What a codec of our own is told beside picture and point, by the picture's id and samples, see
        `cfm.sensitivity.guidance`; nothing where absent.

    Returns
    -------
    pandas.DataFrame
        Table of the schema `streams`.
    """
    rows = []
    progress = Progress(len(pictures), "pictures", f"encoding {codec.name} at {point}")
    with PackWriter(pack) as writer:
        for image_id, path in pictures:
            picture = to_layout(read_rgb(path), codec.layout)
            started_s = time.perf_counter()
            guidance = guide(image_id, picture) if guide else {}
            guide_s = time.perf_counter() - started_s if guide else None
            started_s = time.perf_counter()
            stream = codec.encode(picture, point, **guidance)
            encode_s = time.perf_counter() - started_s
            writer.add(f"{image_id:012d}", stream)
            rows.append((image_id, point, None, len(stream), picture.pixels, encode_s, guide_s))
            progress.step(len(stream))
    columns = ["image_id", "point", "scale", "size_bytes", "source_pixels", "encode_s", "guide_s"]
    return pd.DataFrame(rows, columns=columns)


def to_yuv420(picture: Picture) -> Picture:
    """The 4:2:0 planes of an 8-bit picture of either layout."""
    return picture if picture.layout == "yuv420" else rgb_to_yuv420(to_rgb(picture))
