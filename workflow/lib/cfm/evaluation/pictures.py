"""The image coding and distillation studies on one shard: pictures to streams, and decoded streams to results.

picture --codec.encode--> pack of streams --codec.decode--> picture^ --network--> detections
                                                \\--features, planes--> true and predicted feature distance
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from cfm.codecs.pack import PackWriter, read_pack
from cfm.codecs.picture import Picture
from cfm.data.colour import rgb_to_yuv420, yuv420_to_rgb
from cfm.data.images import read_rgb
from cfm.evaluation.detections import detections_from_prediction, gather_detections
from cfm.features.extraction import extract
from cfm.progress import Progress
from cfm.sensitivity.jacobian import feature_distance, idse, picture_error
from cfm.sensitivity.sketch_file import load_sketch


class Shard(NamedTuple):
    """Pictures of one job.

    Attributes
    ----------
    image_ids : sequence of int
        COCO ids.
    paths : sequence of Path
        Their files.
    """

    image_ids: Sequence[int]
    paths: Sequence[Path]


class Evaluated(NamedTuple):
    """Results of a shard's decoded pictures: tables of the schemas `detections` and `distances` (without the study)."""

    detections: pd.DataFrame
    distances: pd.DataFrame


def read_shard(subset: pd.DataFrame, folder: Path | str, shard: int) -> Shard:
    """The pictures of a shard of a subset table, under the split's folder."""
    rows = subset[subset["shard"] == shard]
    return Shard([int(i) for i in rows["image_id"]], [Path(folder) / name for name in rows["file_name"]])


def to_layout(rgb: np.ndarray, layout: str) -> Picture:
    """(h, w, 3) uint8 RGB as the 8-bit picture that a codec of this layout ("yuv420" or "rgb") takes."""
    if layout == "yuv420":
        return rgb_to_yuv420(rgb)
    return Picture(tuple(np.ascontiguousarray(rgb[..., channel]) for channel in range(3)), "rgb", 8)


def to_rgb(picture: Picture) -> np.ndarray:
    """The (h, w, 3) uint8 RGB samples of an 8-bit picture of either layout."""
    return yuv420_to_rgb(picture) if picture.layout == "yuv420" else np.stack(picture.planes, axis=-1)


def encode_pictures(codec: Any, point: int, shard: Shard, pack: Path) -> pd.DataFrame:
    """Encode a shard at one operating point.

    Parameters
    ----------
    codec : codec
        See the contract in `cfm.codecs.registry`.
    point : int
        QP or index of a trained model.
    shard : Shard
        Pictures.
    pack : path
        The zip of streams to write.

    Returns
    -------
    pandas.DataFrame
        Table of the schema `streams`.
    """
    rows = []
    progress = Progress(len(shard.image_ids), "pictures", f"encoding {codec.name} at {point}")
    with PackWriter(pack) as writer:
        for image_id, path in zip(*shard, strict=True):
            picture = to_layout(read_rgb(path), codec.layout)
            started_s = time.perf_counter()
            stream = codec.encode(picture, point)
            encode_s = time.perf_counter() - started_s
            writer.add(f"{image_id:012d}", stream)
            rows.append((image_id, point, None, len(stream), picture.pixels, encode_s))
            progress.step(len(stream))
    columns = ["image_id", "point", "scale", "size_bytes", "source_pixels", "encode_s"]
    return pd.DataFrame(rows, columns=columns)


def detect_originals(network: Any, shard: Shard, category_ids: Sequence[int]) -> pd.DataFrame:
    """Detections on the uncompressed pictures of a shard: table of the schema `detections`."""
    progress = Progress(len(shard.image_ids), "pictures", f"{network.name} on uncompressed pictures")
    frames = []
    for image_id, path in zip(*shard, strict=True):
        features, prepared = extract(network, read_rgb(path))
        frames.append(predict(network, features, prepared, image_id, category_ids))
        progress.step()
    return gather_detections(frames)


def predict(
    network: Any, features: list[torch.Tensor], prepared: Any, image_id: int, category_ids: Sequence[int]
) -> pd.DataFrame:
    """Detections of the heads for one picture's pyramid."""
    with torch.no_grad():
        return detections_from_prediction(image_id, network.predict(features, prepared), category_ids)


def evaluate_pictures(
    network: Any, codec: Any, shard: Shard, pack: Path, sketches: Path, block: int, category_ids: Sequence[int]
) -> Evaluated:
    """Decode a shard's streams and measure what the network makes of them.

    The true feature distance and IDSE refer to what the codec was given: the 4:2:0 planes of the original, or its RGB
    samples for a codec that takes these; then the error of the planes is taken after conversion.

    Parameters
    ----------
    network : task network
        See the contract in `cfm.tasks.contract`.
    codec : codec
        The one that made the pack.
    shard : Shard
        Pictures.
    pack, sketches : path
        Streams, and the Jacobian sketches of the originals for this network.
    block : int
        Side of IDSE's luma blocks, samples.
    category_ids : sequence of int
        Category id of each label.
    """
    streams = read_pack(pack)
    frames, rows = [], []
    progress = Progress(len(shard.image_ids), "pictures", f"evaluating {codec.name} with {network.name}")
    for image_id, path in zip(*shard, strict=True):
        original = to_layout(read_rgb(path), codec.layout)
        decoded = codec.decode(streams[f"{image_id:012d}"])
        reference, _ = extract(network, to_rgb(original))
        features, prepared = extract(network, to_rgb(decoded))
        frames.append(predict(network, features, prepared, image_id, category_ids))
        errors = picture_error(to_yuv420(decoded), to_yuv420(original))
        sse_y = float(np.square(errors[0]).sum())
        rows.append(
            {
                "image_id": image_id,
                "feature_distance": feature_distance(features, reference),
                "idse": idse(load_sketch(sketches, image_id), errors, block),
                "sse": sum(float(np.square(error).sum()) for error in errors),
                "psnr_y_db": 10 * np.log10(255**2 * errors[0].size / sse_y) if sse_y else None,
            }
        )
        progress.step()
    return Evaluated(gather_detections(frames), pd.DataFrame(rows))


def to_yuv420(picture: Picture) -> Picture:
    """The 4:2:0 planes of an 8-bit picture of either layout."""
    return picture if picture.layout == "yuv420" else rgb_to_yuv420(to_rgb(picture))
