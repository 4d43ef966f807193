"""The image coding and distillation studies on one shard: pictures to streams, and decoded streams to results.

picture --codec.encode--> pack of streams --codec.decode--> picture^ --network--> detections
                                                \\--features, planes--> true and predicted feature distance
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from cfm.codecs.pack import read_pack
from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture
from cfm.evaluation.coding import to_layout, to_rgb, to_yuv420
from cfm.evaluation.detections import (
    classification_from_prediction,
    detections_from_prediction,
    gather_detections,
)
from cfm.features.extraction import extract
from cfm.progress import Progress
from cfm.sensitivity.jacobian import feature_distance
from cfm.sensitivity.sketch import idse, picture_error
from cfm.sensitivity.sketch_file import load_sketch


class Evaluated(NamedTuple):
    """Results of a shard's decoded pictures, as tables.

    Attributes
    ----------
    predictions : pandas.DataFrame
        Of the schema `detections`, or `classifications` where the network is a classifier.
    distances : pandas.DataFrame
        Of the schema `distances`, without the columns that name the setting.
    """

    predictions: pd.DataFrame
    distances: pd.DataFrame


def detect_originals(network: Any, pictures: Sequence[SourcePicture], category_ids: Sequence[int]) -> pd.DataFrame:
    """Detections on the uncompressed pictures of a shard: table of the schema `detections`."""
    return gather_detections(
        detections_from_prediction(image_id, found, category_ids) for image_id, found in predictions(network, pictures)
    )


def predictions(network: Any, pictures: Sequence[SourcePicture]) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """Id and what the network's heads give, for every uncompressed picture of a shard."""
    progress = Progress(len(pictures), "pictures", f"{network.name} on uncompressed pictures")
    for image_id, path in pictures:
        features, prepared = extract(network, read_rgb(path))
        with torch.no_grad():
            yield image_id, network.predict(features, prepared)
        progress.step()


def predict(
    network: Any, features: list[torch.Tensor], prepared: Any, image_id: int, category_ids: Sequence[int] | None
) -> pd.DataFrame:
    """What the heads give for one picture's pyramid: detections, or without `category_ids` the best class."""
    with torch.no_grad():
        found = network.predict(features, prepared)
    if category_ids is None:
        return classification_from_prediction(image_id, found)
    return detections_from_prediction(image_id, found, category_ids)


def evaluate_pictures(
    network: Any,
    codec: Any,
    pictures: Sequence[SourcePicture],
    packs: Mapping[int, Path],
    sketches: Path,
    block: int,
    category_ids: Sequence[int] | None,
    seen: Path | None = None,
) -> Evaluated:
    """Decode a shard's streams of all operating points and measure what the network makes of them.

    The true feature distance and IDSE refer to what the codec was given: the 4:2:0 planes of the original, or its RGB
    samples for a codec that takes these; then the error of the planes is taken after conversion.

    Parameters
    ----------
    network : task network
        See the contract in `cfm.tasks.contract`.
    codec : codec
        The one that made the packs.
    pictures : sequence of SourcePicture
        A shard.
    packs : mapping
        Streams by operating point.
    sketches : path
        The Jacobian sketches of the originals for this network, whose probes no encoder has seen.
    block : int
        Side of IDSE's luma blocks, samples.
    category_ids : sequence of int or None
        Category id of each label; None for a classifier.
    seen : path or None
        The sketches that guided the encoder, for IDSE by the probes that it minimised.

    Raises
    ------
    InputError
        If a sketch is of another picture than the file is now.
    """
    streams = {point: read_pack(pack) for point, pack in packs.items()}
    frames, rows = [], []
    progress = Progress(len(pictures) * len(packs), "pictures", f"evaluating {codec.name} with {network.name}")
    for image_id, path in pictures:
        original = to_layout(read_rgb(path), codec.layout)
        planes = to_yuv420(original)
        judges = {"idse": sketches} | ({"idse_seen": seen} if seen else {})
        judges = {name: load_sketch(file, image_id) for name, file in judges.items()}
        for sketch in judges.values():
            sketch.check_made_for(planes)
        reference, _ = extract(network, to_rgb(original))
        weights = network.objectness(reference)
        for point, pack in streams.items():
            decoded = codec.decode(pack[f"{image_id:012d}"])
            features, prepared = extract(network, to_rgb(decoded))
            frames.append(predict(network, features, prepared, image_id, category_ids).assign(point=float(point)))
            errors = picture_error(to_yuv420(decoded), planes)
            sse_y = float(np.square(errors[0]).sum())
            rows.append(
                {
                    "point": float(point),
                    "image_id": image_id,
                    "feature_distance": feature_distance(features, reference),
                    "objectness_distance": feature_distance(features, reference, weights),
                    "idse_seen": None,
                    "sse": sum(float(np.square(error).sum()) for error in errors),
                    "psnr_y_db": 10 * np.log10(255**2 * errors[0].size / sse_y) if sse_y else None,
                }
                | {name: idse(sketch, errors, block) for name, sketch in judges.items()}
            )
            progress.step()
    return Evaluated(gather_detections(frames), pd.DataFrame(rows))
