"""Importance against labels: the drop of a picture's average precision when one scale alone is coded.

What the published code of MFIBA does: drops below 0.01 count as none, a min-max over the scales at every point, the sum
over the points (METHODS §3). The encoder knows the labels of the picture that it encodes, so results of it show what
labels would be worth; they are not results of a codec.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from pycocotools.coco import COCO

from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture
from cfm.evaluation.average_precision import KIND_OF_TASK, match_detections
from cfm.evaluation.detections import detections_from_prediction, gather_detections, label_categories
from cfm.features.decoding import degraded_pyramids
from cfm.features.extraction import extract
from cfm.features.precoding import PrecodedScales
from cfm.progress import Progress
from cfm.tasks.contract import TaskNetwork

MINIMUM_DROP = 0.01
LOSSLESS = (-1, -1)


def ground_truth_losses(
    network: TaskNetwork, pictures: Sequence[SourcePicture], precoded: PrecodedScales, annotations: COCO
) -> pd.DataFrame:
    """Drop of every picture's average precision at every scale and point; one below 0.01 is 0.

    Parameters
    ----------
    network : TaskNetwork
        A network of a task with boxes.
    pictures : sequence of SourcePicture
        A shard.
    precoded : PrecodedScales
        Streams of every scale at every point.
    annotations : COCO
        The truth; a picture without annotations loses nothing.

    Returns
    -------
    pandas.DataFrame
        Columns image_id, scale, point, part ("ap_drop"), loss in [0, 1]; one row a picture, scale and point.
    """
    category_ids = label_categories(getattr(network, "category_ids", None), annotations.getCatIds())
    found: dict[tuple[int, int], list[pd.DataFrame]] = {}
    progress = Progress(len(pictures), "pictures", f"importance for {network.task} on {precoded.codec.name}")
    for picture in pictures:
        features, prepared = extract(network, read_rgb(picture.path))
        with torch.no_grad():
            predictions = {LOSSLESS: network.predict(features, prepared)}
            for scale, point, degraded in degraded_pyramids(features, picture.image_id, precoded):
                predictions[scale, point] = network.predict(degraded, prepared)
        for key, prediction in predictions.items():
            rows = detections_from_prediction(picture.image_id, prediction, category_ids)
            found.setdefault(key, []).append(rows)
        progress.step()
    image_ids = [picture.image_id for picture in pictures]
    kind = KIND_OF_TASK[network.task]
    precision = {
        key: picture_precision(annotations, gather_detections(rows), kind, image_ids) for key, rows in found.items()
    }
    lossless = precision.pop(LOSSLESS)
    tables = [
        pd.DataFrame(
            {"image_id": image_ids, "scale": scale, "point": point, "part": "ap_drop", "loss": drops(lossless, coded)}
        )
        for (scale, point), coded in precision.items()
    ]
    return pd.concat(tables, ignore_index=True)


def picture_precision(annotations: COCO, detections: pd.DataFrame, kind: str, image_ids: Sequence[int]) -> np.ndarray:
    """COCO's average precision of each picture by itself, (pictures,); 0 where nothing is annotated."""
    matches = match_detections(annotations, detections, kind, image_ids)
    alone = np.eye(len(matches.image_ids))
    by_picture = dict(zip(matches.image_ids.tolist(), (matches.quality("AP", row) for row in alone), strict=True))
    return np.nan_to_num([by_picture[image_id] for image_id in image_ids])


def drops(lossless: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """lossless - coded where that is at least 0.01, else 0."""
    difference = lossless - coded
    return np.where(difference >= MINIMUM_DROP, difference, 0.0)
