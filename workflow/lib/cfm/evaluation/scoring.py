"""From detections and streams to the scores of operating points, with what the bootstrap of BD-rates needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pycocotools.coco import COCO

from cfm.errors import InputError
from cfm.evaluation.average_precision import KIND_OF_TASK, MatchTable, load_annotations, match_detections
from cfm.evaluation.bootstrap import OperatingPoint, draw_weights, quality_interval, resample
from cfm.evaluation.top1 import Top1Table, match_classes
from cfm.provenance import atomic_path
from cfm.reporting.tables import read_tables

IDENTITY = ["study", "task", "codec", "scheme", "point"]
UNCOMPRESSED = "uncompressed"  # the scheme of the rows that were not coded; their codec is "none", their point 0


@dataclass(frozen=True)
class Draws:
    """How pictures are resampled: the same for all settings of a run.

    Attributes
    ----------
    seed : int
        Seed of the draws.
    repeats : int
        Number of resamplings.
    """

    seed: int
    repeats: int


@dataclass(frozen=True)
class Truth:
    """What predictions are compared with.

    Attributes
    ----------
    subset : pandas.DataFrame
        Rows of the schema `subset`: the pictures that are scored.
    annotations : COCO or None
        None for classification, whose labels are in `subset`.
    """

    subset: pd.DataFrame
    annotations: COCO | None


@dataclass(frozen=True)
class ScoredSetting:
    """Scores of one operating point.

    Attributes
    ----------
    scores : pandas.DataFrame
        Rows of the schema `scores`, one a metric.
    rates_bpp : (B,) array
        Rate of every resampling.
    qualities : (B,) array
        The task's main metric on every resampling.
    """

    scores: pd.DataFrame
    rates_bpp: np.ndarray
    qualities: np.ndarray


def main_metric(task: str) -> str:
    """The metric that curves and BD-rates of a task use: AP, or top1 for classification."""
    return "top1" if task == "classification" else "AP"


def load_truth(subset: pd.DataFrame, annotations: Path | str | None) -> Truth:
    """The pictures of a run and their annotation file, which classification does not have.

    Raises
    ------
    InputError
        As `load_annotations`.
    """
    return Truth(subset, None if annotations is None else load_annotations(annotations))


def match(task: str, truth: Truth, predictions: pd.DataFrame) -> MatchTable | Top1Table:
    """Compare predictions, rows of the schema `detections` or `classifications`, with the truth.

    Raises
    ------
    InputError
        As `match_detections` and `match_classes`.
    """
    if task == "classification":
        return match_classes(truth.subset, predictions)
    return match_detections(truth.annotations, predictions, KIND_OF_TASK[task], truth.subset["image_id"])


def score_setting(
    setting: Mapping[str, Any], truth: Truth, predictions: pd.DataFrame, streams: pd.DataFrame | None, draws: Draws
) -> ScoredSetting:
    """Score one operating point.

    Parameters
    ----------
    setting : mapping
        `study`, `task`, `codec`, `scheme` and `point`.
    truth : Truth
        From `load_truth`.
    predictions : pandas.DataFrame
        Rows of the schema `detections`, or `classifications` for classification, of all pictures.
    streams : pandas.DataFrame or None
        One row for each stream that is sent: `image_id`, `size_bytes`, `source_pixels`, `encode_s` and, for feature
        coding, `samples`. None where nothing was coded: the rate is 0.
    draws : Draws
        Resampling of the pictures; the interval is that of the main metric.

    Raises
    ------
    InputError
        If the streams are not those of the truth's pictures.
    """
    matches = match(setting["task"], truth, predictions)
    sizes = _sizes(setting, matches.image_ids, truth.subset, streams)
    weights = draw_weights(len(sizes), np.random.default_rng(draws.seed), draws.repeats)
    metric = main_metric(setting["task"])
    point = OperatingPoint(
        sizes["size_bytes"].to_numpy(), sizes["pixels"].to_numpy(), lambda row: matches.quality(metric, row)
    )
    curve = resample([point], weights)
    ends = {metric: [end[0] for end in quality_interval(curve)]}
    total, samples = int(sizes["size_bytes"].sum()), sizes["samples"].sum(min_count=len(sizes))
    rows = [
        {name: setting[name] for name in IDENTITY}
        | {
            "rate_bpp": 8 * total / sizes["pixels"].sum(),
            "packed_bpp": 8 * total / samples,
            "size_bytes": total,
            "pictures": len(sizes),
            "metric": name,
            "quality": quality,
            "quality_low": ends.get(name, [np.nan, np.nan])[0],
            "quality_high": ends.get(name, [np.nan, np.nan])[1],
            "encode_s": sizes["encode_s"].mean(),
        }
        for name, quality in matches.qualities().items()
    ]
    return ScoredSetting(pd.DataFrame(rows), curve.rates_bpp[:, 0], curve.qualities[:, 0])


def _sizes(
    setting: Mapping[str, Any], image_ids: np.ndarray, subset: pd.DataFrame, streams: pd.DataFrame | None
) -> pd.DataFrame:
    """Per picture, in the order of `image_ids`: size_bytes, pixels, samples (NaN for pictures) and encode_s."""
    pixels = subset.set_index("image_id")[["width", "height"]].prod(axis=1).loc[image_ids]
    if streams is None:
        return pd.DataFrame({"size_bytes": 0, "pixels": pixels, "samples": np.nan, "encode_s": np.nan})
    label = "/".join(str(setting[name]) for name in IDENTITY)
    found = set(streams["image_id"])
    if missing := [number for number in image_ids if number not in found]:
        raise InputError(f"{label}: no stream of picture {missing[0]} (and {len(missing) - 1} more); encode it again")
    values = streams.reindex(columns=["image_id", "size_bytes", "samples", "encode_s"])
    sums = values.astype({"samples": "float64"}).groupby("image_id").sum(min_count=1).loc[image_ids]
    sources = streams.groupby("image_id")["source_pixels"].agg(["min", "max"]).loc[image_ids]
    wrong = sources.index[(sources["min"] != pixels) | (sources["max"] != pixels)]
    if len(wrong):
        raise InputError(f"{label}: the stream of picture {wrong[0]} is not of the picture's size; encode it again")
    return sums.assign(pixels=pixels)


def read_predictions(entry: Mapping[str, Any], task: str) -> dict[float, pd.DataFrame]:
    """The predictions of an entry of `score_entries` by operating point."""
    if task == "classification":
        return {float(entry["point"]): read_tables(entry["detections"], "classifications")}
    if entry["point"] is not None:
        return {float(entry["point"]): read_tables(entry["detections"], "detections")}
    tables = read_tables(entry["detections"], "point_detections")
    return {point: rows.drop(columns="point") for point, rows in tables.groupby("point")}


def read_streams(entry: Mapping[str, Any]) -> dict[float, pd.DataFrame] | None:
    """The streams of an entry of `score_entries` by operating point; None where nothing was coded."""
    if not entry["streams"]:
        return None
    if entry["point"] is not None:
        return {float(entry["point"]): read_tables(entry["streams"], "streams")}
    return dict(list(read_tables(entry["streams"], "point_streams").groupby("point")))


def score_entries(
    study: str, task: str, entries: Sequence[Mapping[str, Any]], truth: Truth, draws: Draws
) -> list[ScoredSetting]:
    """Score all operating points of some settings.

    Parameters
    ----------
    study, task : str
        What all the entries belong to.
    entries : sequence of mappings
        `codec`, `scheme`, `point` (None where the tables hold several points: schemas `point_detections` and
        `point_streams`), `detections` (paths, one a shard) and `streams` (paths; none where nothing was coded).
    truth : Truth
        From `load_truth`.
    draws : Draws
        Resampling of the pictures.

    Raises
    ------
    InputError
        As `read_tables` and `score_setting`, and where predictions and streams have different operating points.
    """
    scored = []
    for entry in entries:
        predictions, streams = read_predictions(entry, task), read_streams(entry)
        # A point at which nothing was found in any picture has streams but no rows of detections.
        points = sorted(predictions if streams is None else streams)
        if extra := set(predictions) - set(points):
            raise InputError(f"{entry['detections'][0]}: no streams of operating point {min(extra):g}; evaluate again")
        for point in points:
            setting = {"study": study, "task": task, "codec": entry["codec"], "scheme": entry["scheme"], "point": point}
            found = predictions.get(point, next(iter(predictions.values()), pd.DataFrame(columns=["image_id"]))[:0])
            sent = None if streams is None else streams[point]
            scored.append(score_setting(setting, truth, found, sent, draws))
    return scored


def scores_table(scored: Sequence[ScoredSetting]) -> pd.DataFrame:
    """Rows of the schema `scores` of all the settings."""
    return pd.concat([setting.scores for setting in scored], ignore_index=True)


def save_draws(path: Path | str, scored: Sequence[ScoredSetting], truth: Truth, draws: Draws) -> None:
    """Keep the resampled rates and qualities of scored settings.

    The file is an npz archive: `seed`, `repeats`, `image_ids` (I,), and for the n settings in the order of the scores
    table `identity` (n, 5) text, `rates_bpp` and `qualities` (n, B).
    """
    identity = [[str(setting.scores.iloc[0][name]) for name in IDENTITY] for setting in scored]
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            seed=np.int64(draws.seed),
            repeats=np.int64(draws.repeats),
            image_ids=np.sort(truth.subset["image_id"].to_numpy(np.int64)),
            identity=np.array(identity, dtype=np.str_).reshape(-1, len(IDENTITY)),
            rates_bpp=np.array([setting.rates_bpp for setting in scored]).reshape(-1, draws.repeats),
            qualities=np.array([setting.qualities for setting in scored]).reshape(-1, draws.repeats),
        )
