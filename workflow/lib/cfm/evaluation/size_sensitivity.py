"""Accuracy by object size when one scale of the pyramid is coded and the others are not (MFIBA paper, figure 1)."""

from __future__ import annotations

import pandas as pd

from cfm.evaluation.scoring import Truth, match

SIZE_METRICS = ("AP", "APs", "APm", "APl")


def size_sensitivity(
    task: str, codec: str, truth: Truth, coded: pd.DataFrame, uncoded: pd.DataFrame, streams: pd.DataFrame
) -> pd.DataFrame:
    """Rows of the schema `sensitivity_by_size`.

    Parameters
    ----------
    task, codec : str
        Labels of the rows; the task is one with boxes.
    truth : Truth
        Pictures and annotations.
    coded : pandas.DataFrame
        Rows of the schema `scale_detections`: detections with `scale` alone coded at `point`.
    uncoded : pandas.DataFrame
        Rows of the schema `detections`: detections without coding.
    streams : pandas.DataFrame
        Rows of the schema `streams`: the precoded streams of the same pictures; they say which points there are.
    """
    reference = match(task, truth, uncoded).qualities()
    streams = streams[streams["image_id"].isin(truth.subset["image_id"])]
    rows = []
    for (scale, point), sent in streams.groupby(["scale", "point"], sort=True):
        found = coded[(coded["scale"] == scale) & (coded["point"] == point)].drop(columns=["scale", "point"])
        qualities = match(task, truth, found).qualities()
        rate = 8 * sent["size_bytes"].sum() / sent["samples"].sum()
        for metric in SIZE_METRICS:
            rows.append(
                {
                    "task": task,
                    "codec": codec,
                    "scale": scale,
                    "point": point,
                    "rate": rate,
                    "metric": metric,
                    "quality": qualities[metric],
                    "quality_uncoded": reference[metric],
                }
            )
    return pd.DataFrame(rows)
