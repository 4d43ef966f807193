"""All the scores of a run in one table of curves, and the Bjontegaard comparisons between them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cfm.errors import ConfigurationError, InputError
from cfm.evaluation.bd_rate import MINIMUM_OVERLAP, compare
from cfm.evaluation.bd_rate_interval import BdRateInterval, interval_of
from cfm.evaluation.bootstrap import ResampledCurve
from cfm.evaluation.scoring import IDENTITY, UNCOMPRESSED, compared_metrics
from cfm.reporting.tables import load_schema

CURVE = IDENTITY[:-1]


@dataclass(frozen=True)
class DrawnScores:
    """Resampled rates and qualities of all settings of a run.

    Attributes
    ----------
    identity : pandas.DataFrame
        Columns study, task, codec, scheme, point and metric of the n pairs of a setting and a metric.
    rates_bpp, qualities : (n, B) arrays
        On the resamplings.
    """

    identity: pd.DataFrame
    rates_bpp: np.ndarray
    qualities: np.ndarray


def load_draws(paths: Iterable[Path | str]) -> DrawnScores:
    """Read what `scoring.save_draws` wrote.

    Raises
    ------
    InputError
        If a file is damaged, or was drawn with another seed or, within a task, from other pictures.
    """
    parts, drawn_from = [], {}
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as archive:
                part = {name: archive[name] for name in archive.files}
            identity = pd.DataFrame(part["identity"], columns=[*IDENTITY, "metric"]).astype({"point": "float64"})
            for task in {"", *identity["task"]}:
                drawn = (int(part["seed"]), int(part["repeats"]), part["image_ids"].tobytes() if task else b"")
                if drawn_from.setdefault(task, drawn) != drawn:
                    raise InputError(f"{path}: drawn otherwise than the scores before it; score all settings again")
            parts.append((identity, part["rates_bpp"], part["qualities"]))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: damaged file of resampled scores ({error}); delete it and run again") from error
    if not parts:
        raise InputError("no resampled scores to compare; score at least one setting")
    identities, rates, qualities = zip(*parts, strict=True)
    return DrawnScores(pd.concat(identities, ignore_index=True), np.concatenate(rates), np.concatenate(qualities))


def curves_table(scores: pd.DataFrame, distances: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of the schema `curves`: the scores, sorted, with the mean feature distance where it was measured.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows of the schema `scores`.
    distances : pandas.DataFrame or None
        Rows of the schema `distances`.

    Raises
    ------
    InputError
        If a setting was scored twice.
    """
    if scores.duplicated([*IDENTITY, "metric"]).any():
        twice = scores[scores.duplicated([*IDENTITY, "metric"])].iloc[0]
        raise InputError(f"{'/'.join(str(twice[name]) for name in IDENTITY)} is scored twice; name every setting once")
    if distances is None:
        return scores.assign(feature_distance=np.nan).sort_values([*CURVE, "metric", "point"], ignore_index=True)
    means = distances.groupby(IDENTITY, as_index=False)["feature_distance"].mean()
    merged = scores.merge(means, on=IDENTITY, how="left", validate="many_to_one")
    return merged.sort_values([*CURVE, "metric", "point"], ignore_index=True)


def bd_rate_table(
    curves: pd.DataFrame,
    drawn: DrawnScores,
    anchors: Mapping[str, Sequence[str]],
    minimum_overlap: float = MINIMUM_OVERLAP,
) -> pd.DataFrame:
    """Rows of the schema `bd_rate`: every curve of a study and task against its anchors, by each compared metric.

    Parameters
    ----------
    curves : pandas.DataFrame
        From `curves_table`.
    drawn : DrawnScores
        Of the same settings.
    anchors : mapping
        Study to anchors, "codec/scheme". "*/scheme" stands for that scheme of the same codec.
    minimum_overlap : float
        As in `compare`.

    Raises
    ------
    ConfigurationError
        If an anchor is not a curve of its study.
    """
    compared = [metric in compared_metrics(task) for task, metric in zip(curves["task"], curves["metric"], strict=True)]
    coded = curves[(curves["scheme"] != UNCOMPRESSED) & np.array(compared, bool)]
    rows = []
    for (study, task, metric), group in coded.groupby(["study", "task", "metric"], sort=True):
        resampled = {
            f"{codec}/{scheme}": _resampled(points, drawn)
            for (codec, scheme), points in group.groupby(["codec", "scheme"])
        }
        names = list(resampled)
        pairs = [pair for pattern in anchors.get(study, ()) for pair in _pairs(pattern, names, study, task)]
        # Two patterns may stand for the same pair.
        for anchor, test in dict.fromkeys(pairs):
            one, other = resampled[anchor], resampled[test]
            result = compare(one.rate_bpp, one.quality, other.rate_bpp, other.quality, minimum_overlap)
            interval = interval_of(one, other, minimum_overlap) if result.comparable else None
            labels = {"study": study, "task": task, "metric": metric, "anchor": anchor, "test": test}
            rows.append(labels | asdict(result) | _interval_columns(interval))
    return pd.DataFrame(rows, columns=load_schema("bd_rate").column_names)


def _interval_columns(interval: BdRateInterval | None) -> dict[str, float | bool | None]:
    if interval is None:
        return {"low": None, "high": None, "sd": None, "comparable_share": None, "significant": False}
    return asdict(interval)


def _pairs(pattern: str, names: list[str], study: str, task: str) -> list[tuple[str, str]]:
    """The (anchor, test) pairs that a pattern stands for."""
    codec, _, scheme = pattern.partition("/")
    if codec == "*":
        anchors = [name for name in names if name.split("/")[1] == scheme]
        pairs = [(a, name) for a in anchors for name in names if name != a and name.split("/")[0] == a.split("/")[0]]
    else:
        anchors = [pattern] if pattern in names else []
        pairs = [(pattern, name) for name in names if name != pattern]
    if not anchors:
        raise ConfigurationError(f"anchor {pattern!r} is no curve of {study}, {task}; its curves: {', '.join(names)}")
    return pairs


def _resampled(points: pd.DataFrame, drawn: DrawnScores) -> ResampledCurve:
    """The points of one curve with their resamplings."""
    known = pd.MultiIndex.from_frame(drawn.identity)
    rows = known.get_indexer(pd.MultiIndex.from_frame(points[[*IDENTITY, "metric"]]))
    if (rows < 0).any():
        setting = points[[*IDENTITY, "metric"]].iloc[int(np.flatnonzero(rows < 0)[0])]
        raise InputError(f"{'/'.join(map(str, setting))}: no resampled scores of this setting; score it again")
    return ResampledCurve(
        rate_bpp=points["rate_bpp"].to_numpy(),
        quality=points["quality"].to_numpy(),
        rates_bpp=drawn.rates_bpp[rows].T,
        qualities=drawn.qualities[rows].T,
    )
