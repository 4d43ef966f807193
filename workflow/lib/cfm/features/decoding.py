"""The server's side of split inference: pyramids out of the precoded streams, and what the heads make of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture
from cfm.errors import InputError
from cfm.features.extraction import extract
from cfm.features.precoding import PrecodedScales
from cfm.progress import Progress
from cfm.tasks.contract import TaskNetwork


class DegradedPyramid(NamedTuple):
    """A pyramid in which one scale was coded.

    Attributes
    ----------
    scale, point : int
        Which scale, at which point.
    features : list of Tensor (1, C_i, h_i, w_i)
        The others are lossless.
    """

    scale: int
    point: int
    features: list[Tensor]


class Outcome(NamedTuple):
    """What the heads found for one picture at one operating point.

    Attributes
    ----------
    point : int
        Operating point of the allocation.
    image_id : int
        The picture.
    prediction : dict
        As `network.predict` gave it.
    """

    point: int
    image_id: int
    prediction: dict[str, Any]


def degraded_pyramids(features: Sequence[Tensor], image_id: int, precoded: PrecodedScales) -> Iterator[DegradedPyramid]:
    """Every scale at every point, one at a time in an otherwise lossless pyramid."""
    for scale, lossless in enumerate(features):
        for point in precoded.points:
            decoded = precoded.decode(image_id, scale, point, lossless)
            replaced = [decoded if index == scale else feature for index, feature in enumerate(features)]
            yield DegradedPyramid(scale, point, replaced)


def allocated_outcomes(
    network: TaskNetwork, pictures: Sequence[SourcePicture], precoded: PrecodedScales, allocation: pd.DataFrame
) -> Iterator[Outcome]:
    """Decode what every operating point chose and run the heads on it.

    A stream is decoded once a picture, and the heads run once for each distinct choice, however many operating points
    share it.

    Parameters
    ----------
    network : TaskNetwork
        Its `predict` runs on decoded scales alone.
    pictures : sequence of SourcePicture
        A shard.
    precoded : PrecodedScales
        The shard's packs.
    allocation : pandas.DataFrame
        Columns point, image_id, scale, codec_point, of one scheme.

    Raises
    ------
    InputError
        If the allocation does not name every scale of a picture once for each of its operating points.
    """
    progress = Progress(len(pictures), "pictures", f"heads of {network.task} on {precoded.codec.name}")
    by_picture = dict(list(allocation.groupby("image_id")))
    for picture in pictures:
        features, prepared = extract(network, read_rgb(picture.path))
        choices = _choices(by_picture.get(picture.image_id), len(features), picture.image_id)
        decoded: dict[tuple[int, int], Tensor] = {}
        predictions: dict[tuple[int, ...], dict[str, Any]] = {}
        for point, chosen in choices.items():
            if chosen not in predictions:
                for key in enumerate(chosen):
                    if key not in decoded:
                        decoded[key] = precoded.decode(picture.image_id, *key, features[key[0]])
                with torch.no_grad():
                    predictions[chosen] = network.predict([decoded[key] for key in enumerate(chosen)], prepared)
            yield Outcome(point, picture.image_id, predictions[chosen])
        progress.step()


def _choices(rows: pd.DataFrame | None, scales: int, image_id: int) -> dict[int, tuple[int, ...]]:
    """Codec points of the scales, finest first, for each operating point."""
    if rows is None:
        raise InputError(f"allocation table: nothing for picture {image_id}: run the allocation again")
    choices = {}
    for point, group in rows.sort_values("scale").groupby("point"):
        if group["scale"].tolist() != list(range(scales)):
            raise InputError(
                f"allocation table: picture {image_id}, operating point {point:g} has the scales "
                f"{group['scale'].tolist()}, the network has {scales}: run the allocation again"
            )
        choices[int(point)] = tuple(int(chosen) for chosen in group["codec_point"])
    return choices


def chosen_streams(streams: pd.DataFrame, allocation: pd.DataFrame) -> pd.DataFrame:
    """What the operating points of one scheme take: one row a chosen stream.

    Parameters
    ----------
    streams : pandas.DataFrame
        Schema `streams`, all points of the codec.
    allocation : pandas.DataFrame
        Rows of one scheme, of these pictures: point, image_id, scale, codec_point.

    Returns
    -------
    pandas.DataFrame
        Schema `point_streams`; `point` is the operating point, `codec_point` the codec's.

    Raises
    ------
    InputError
        If a chosen stream is not in the table.
    """
    chosen = allocation[["image_id", "point", "scale", "codec_point"]].astype({"point": "int32"})
    coded = streams.rename(columns={"point": "codec_point"})
    found = chosen.merge(coded, on=["image_id", "scale", "codec_point"], how="inner", validate="many_to_one")
    if len(found) != len(chosen):
        raise InputError(f"streams table: {len(chosen) - len(found)} chosen streams are not in it: precode again")
    return found
