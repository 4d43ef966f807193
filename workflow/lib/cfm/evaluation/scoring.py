"""From detections and streams to the scores of operating points, with what the bootstrap of BD-rates needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pycocotools.coco import COCO

from cfm.errors import InputError
from cfm.evaluation.average_precision import (
    KIND_OF_TASK,
    MatchTable,
    detections_as_truth,
    load_annotations,
    match_detections,
)
from cfm.evaluation.bootstrap import OperatingPoint, draw_weights, quality_interval, resample
from cfm.evaluation.top1 import Top1Table, match_classes
from cfm.provenance import atomic_path
from cfm.reporting.tables import read_tables

AGREEMENT = "AP_agreement"  # average precision against the detections in the uncompressed pictures
FIDELITY = "fidelity_db"  # -10 log10 of the mean squared feature distance of a picture
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
    uncompressed : COCO or None
        The network's own detections in the uncompressed pictures, for `AGREEMENT`.
    """

    subset: pd.DataFrame
    annotations: COCO | None
    uncompressed: COCO | None = None


@dataclass(frozen=True)
class ScoredSetting:
    """Scores of one operating point.

    Attributes
    ----------
    scores : pandas.DataFrame
        Rows of the schema `scores`, one a metric.
    rates_bpp : (B,) array
        Rate of every resampling.
    qualities : mapping of (B,) arrays
        The metrics that BD-rates use, on every resampling.
    """

    scores: pd.DataFrame
    rates_bpp: np.ndarray
    qualities: Mapping[str, np.ndarray]


def main_metric(task: str) -> str:
    """The metric that curves and BD-rates of a task use: AP, or top1 for classification."""
    return "top1" if task == "classification" else "AP"


def compared_metrics(task: str) -> tuple[str, ...]:
    """The metrics that BD-rates of a task use, where they were measured; the main one first."""
    return (main_metric(task), AGREEMENT, FIDELITY)


def load_truth(
    subset: pd.DataFrame,
    annotations: Path | str | None,
    task: str = "classification",
    uncompressed: Sequence[Path | str] = (),
) -> Truth:
    """The pictures of a run and their annotation file, which classification does not have.

    `uncompressed` are tables of the task network's detections in the uncompressed pictures.

    Raises
    ------
    InputError
        As `load_annotations`.
    """
    if annotations is None:
        return Truth(subset, None)
    known = load_annotations(annotations)
    if not uncompressed:
        return Truth(subset, known)
    found = read_tables(uncompressed, "detections")
    return Truth(subset, known, detections_as_truth(known, found, KIND_OF_TASK[task]))


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
    setting: Mapping[str, Any],
    truth: Truth,
    predictions: pd.DataFrame,
    streams: pd.DataFrame | None,
    draws: Draws,
    distances: pd.DataFrame | None = None,
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
        Resampling of the pictures; the intervals are those of the metrics that BD-rates use.
    distances : pandas.DataFrame or None
        Rows of the schema `distances` of this point.

    Raises
    ------
    InputError
        If the streams or the distances are not those of the truth's pictures.
    """
    matches = match(setting["task"], truth, predictions)
    sizes = _sizes(setting, matches.image_ids, truth.subset, streams)
    weights = draw_weights(len(sizes), np.random.default_rng(draws.seed), draws.repeats)
    main = main_metric(setting["task"])
    resampled = {main: lambda row: matches.quality(main, row)}
    if truth.uncompressed and streams is not None:
        agreeing = match_detections(
            truth.uncompressed, predictions, KIND_OF_TASK[setting["task"]], truth.subset["image_id"]
        )
        resampled[AGREEMENT] = lambda row: agreeing.quality("AP", row)
    if distances is not None:
        resampled[FIDELITY] = _fidelity(setting, matches.image_ids, distances)
    bytes_, pixels = sizes["size_bytes"].to_numpy(), sizes["pixels"].to_numpy()
    curves = {name: resample([OperatingPoint(bytes_, pixels, quality)], weights) for name, quality in resampled.items()}
    ends = {name: [end[0] for end in quality_interval(curve)] for name, curve in curves.items()}
    qualities = {name: curve.quality[0] for name, curve in curves.items()} | matches.qualities()
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
        for name, quality in qualities.items()
    ]
    drawn = {name: curve.qualities[:, 0] for name, curve in curves.items()}
    return ScoredSetting(pd.DataFrame(rows), curves[main].rates_bpp[:, 0], drawn)


def _fidelity(
    setting: Mapping[str, Any], image_ids: np.ndarray, distances: pd.DataFrame
) -> Callable[[np.ndarray], float]:
    """`FIDELITY` of weighted pictures; not a number where all features are exact."""
    known = distances.set_index("image_id")["feature_distance"]
    if sorted(known.index) != sorted(image_ids):
        label = "/".join(str(setting[name]) for name in IDENTITY)
        raise InputError(f"{label}: feature distances of other pictures than those scored; evaluate it again")
    values = known.loc[image_ids].to_numpy()

    def quality(weights: np.ndarray) -> float:
        mean = float(weights @ values / weights.sum())
        return -10 * float(np.log10(mean)) if mean > 0 else float("nan")

    return quality


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
    schema = "classifications" if task == "classification" else "detections"
    if entry["point"] is not None:
        return {float(entry["point"]): read_tables(entry["detections"], schema)}
    tables = read_tables(entry["detections"], f"point_{schema}")
    return {point: rows.drop(columns="point") for point, rows in tables.groupby("point")}


def read_streams(entry: Mapping[str, Any], study: str) -> dict[float, pd.DataFrame] | None:
    """The streams of an entry of `score_entries` by operating point; None where nothing was coded."""
    if not entry["streams"]:
        return None
    schema = "point_streams" if study == "feature_coding" and entry["point"] is None else "streams"
    tables = read_tables(entry["streams"], schema)
    if entry["point"] is not None:
        return {float(entry["point"]): tables}
    return {float(point): rows for point, rows in tables.groupby("point")}


def score_entries(
    study: str, task: str, entries: Sequence[Mapping[str, Any]], truth: Truth, draws: Draws
) -> list[ScoredSetting]:
    """Score all operating points of some settings.

    Parameters
    ----------
    study, task : str
        What all the entries belong to.
    entries : sequence of mappings
        `codec`, `scheme`, `point` (None where the tables hold several points: schemas `point_detections` or
        `point_classifications`, and `point_streams` for feature coding), `detections` (paths, one a shard), `streams`
        (paths; none where nothing was coded) and, where they were measured, `distances` (paths).
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
        predictions, streams = read_predictions(entry, task), read_streams(entry, study)
        measured = read_tables(entry["distances"], "distances") if entry.get("distances") else None
        # A point at which nothing was found in any picture has streams but no rows of detections.
        points = sorted(predictions if streams is None else streams)
        if extra := set(predictions) - set(points):
            raise InputError(f"{entry['detections'][0]}: no streams of operating point {min(extra):g}; evaluate again")
        for point in points:
            setting = {"study": study, "task": task, "codec": entry["codec"], "scheme": entry["scheme"], "point": point}
            found = predictions.get(point, next(iter(predictions.values()), pd.DataFrame(columns=["image_id"]))[:0])
            sent = None if streams is None else streams[point]
            distances = None if measured is None else measured[measured["point"] == point]
            scored.append(score_setting(setting, truth, found, sent, draws, distances))
    return scored


def scores_table(scored: Sequence[ScoredSetting]) -> pd.DataFrame:
    """Rows of the schema `scores` of all the settings."""
    return pd.concat([setting.scores for setting in scored], ignore_index=True)


def save_draws(path: Path | str, scored: Sequence[ScoredSetting], truth: Truth, draws: Draws) -> None:
    """Keep the resampled rates and qualities of scored settings.

    The file is an npz archive: `seed`, `repeats`, `image_ids` (I,), and for the n pairs of a setting and a metric, in
    the order of the scores table, `identity` (n, 6) text, `rates_bpp` and `qualities` (n, B).
    """
    rows = [(setting, metric) for setting in scored for metric in setting.qualities]
    identity = [[*(str(setting.scores.iloc[0][name]) for name in IDENTITY), metric] for setting, metric in rows]
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            seed=np.int64(draws.seed),
            repeats=np.int64(draws.repeats),
            image_ids=np.sort(truth.subset["image_id"].to_numpy(np.int64)),
            identity=np.array(identity, dtype=np.str_).reshape(-1, len(IDENTITY) + 1),
            rates_bpp=np.array([setting.rates_bpp for setting, _ in rows]).reshape(-1, draws.repeats),
            qualities=np.array([setting.qualities[metric] for setting, metric in rows]).reshape(-1, draws.repeats),
        )
