"""Every scale of every picture of a shard as a stream, at one point of a codec, and back from the packs.

Streams are kept, features are not: they are extracted again wherever they are needed (DESIGN.md).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from cfm.codecs.pack import PackWriter, read_pack
from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture
from cfm.errors import BitstreamError
from cfm.features.extraction import extract
from cfm.features.mosaic import PictureCodec, decode_scale, encode_scale, read_header
from cfm.progress import Progress
from cfm.tasks.contract import TaskNetwork


def member_name(image_id: int, scale: int) -> str:
    """Name of a scale's stream within a pack."""
    return f"{image_id:012d}/{scale}"


def precode(
    network: TaskNetwork,
    codec: PictureCodec,
    pictures: Sequence[SourcePicture],
    point: int,
    pack: Path,
) -> pd.DataFrame:
    """Code every scale of every picture at one point.

    Parameters
    ----------
    network : TaskNetwork
        Gives the pyramids.
    codec : PictureCodec
        Codes the mosaics.
    pictures : sequence of SourcePicture
        A shard.
    point : int
        Operating point of the codec.
    pack : path
        Takes the streams.

    Returns
    -------
    pandas.DataFrame
        Schema `streams`: image_id, point, scale, size_bytes, samples (of the mosaic), source_pixels, encode_s.
    """
    progress = Progress(len(pictures), "pictures", f"precoding {network.task} {codec.name} point {point}")
    rows = []
    with PackWriter(pack) as writer:
        for picture in pictures:
            rgb = read_rgb(picture.path)
            size_bytes = 0
            for scale, feature in enumerate(extract(network, rgb).features):
                started_s = time.perf_counter()
                stream = encode_scale(codec, feature, point)
                encode_s = time.perf_counter() - started_s
                writer.add(member_name(picture.image_id, scale), stream)
                samples = read_header(stream)[0].samples
                pixels = rgb.shape[0] * rgb.shape[1]
                rows.append((picture.image_id, point, scale, len(stream), samples, pixels, encode_s))
                size_bytes += len(stream)
            progress.step(size_bytes)
    columns = ["image_id", "point", "scale", "size_bytes", "samples", "source_pixels", "encode_s"]
    return pd.DataFrame(rows, columns=columns)


class PrecodedScales:
    """The packs of one shard, one a point, decoded on demand.

    ::

        pack of point q --{image_id:012d}/{scale}--> header + codec stream --> mosaic --> scale (1, C, h, w)

    Parameters
    ----------
    codec : PictureCodec
        What coded them.
    packs : mapping of int to Path
        The pack of each point.
    """

    def __init__(self, codec: PictureCodec, packs: Mapping[int, Path]):
        self.codec, self.paths = codec, dict(packs)
        self.streams = {point: read_pack(path) for point, path in self.paths.items()}

    @property
    def points(self) -> list[int]:
        """The points, ascending."""
        return sorted(self.paths)

    def decode(self, image_id: int, scale: int, point: int, like: Tensor) -> Tensor:
        """One decoded scale, on the device of the lossless scale `like` and of its shape (1, C, h, w).

        Raises
        ------
        BitstreamError
            If the pack lacks the stream, or it is damaged, or holds a scale of another shape.
        """
        name = member_name(image_id, scale)
        try:
            stream = self.streams[point][name]
        except KeyError:
            raise BitstreamError(f"{self.paths[point]}: no stream {name}: remove the pack and run again") from None
        try:
            with torch.no_grad():
                decoded = decode_scale(self.codec, stream)
        except BitstreamError as error:
            raise BitstreamError(f"{self.paths[point]}: stream {name}: {error}") from None
        if decoded.shape != like.shape:
            raise BitstreamError(
                f"{self.paths[point]}: stream {name}: a scale of shape {tuple(decoded.shape)} where the network has "
                f"{tuple(like.shape)}: remove the pack and run again"
            )
        return decoded.to(like.device)
