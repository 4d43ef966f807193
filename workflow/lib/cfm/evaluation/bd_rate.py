"""Bjontegaard comparison of rate and task accuracy, which says when there is nothing to compare.

Curves of accuracy over rate tie, cross and fall. The points that others dominate are dropped and counted, log-rate is
integrated over quality by pchip (the package `bjontegaard`), and too few points or too little common quality give the
reason instead of a number. The idea is Bjontegaard's (VCEG-M33); METHODS.md section 4 has the choices.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import bjontegaard
import numpy as np
import pandas as pd

from cfm.errors import InputError

MINIMUM_POINTS = 3
MINIMUM_OVERLAP = 0.2
NAN = float("nan")


class Points(NamedTuple):
    """Operating points of a curve, by rising rate.

    Attributes
    ----------
    rate_bpp : (n,) float
        Bits per pixel of the source pictures.
    quality : (n,) float
        Accuracy, higher is better.
    dropped : int
        Points that were left out.
    """

    rate_bpp: np.ndarray
    quality: np.ndarray
    dropped: int


@dataclass(frozen=True)
class BdRate:
    """A Bjontegaard comparison.

    Attributes
    ----------
    bd_rate_percent : float
        Mean change of the test's rate against the anchor's at equal quality; NaN where not comparable.
    bd_quality : float
        Mean change of quality at equal rate, in the quality's unit; NaN where not comparable or where the curves have
        no rate in common.
    overlap : float
        Common quality range over the joint one, 0 to 1.
    points_anchor, points_test : int
        Points behind the numbers.
    dropped_anchor, dropped_test : int
        Dominated points (or points without a quality) that were left out.
    comparable : bool
        Whether there is a number.
    reason : str
        Why not; empty where comparable.
    """

    bd_rate_percent: float
    bd_quality: float
    overlap: float
    points_anchor: int
    points_test: int
    dropped_anchor: int
    dropped_test: int
    comparable: bool
    reason: str


def pareto_points(rate_bpp: np.ndarray, quality: np.ndarray) -> Points:
    """The points that no other point dominates, with less rate at the same or better quality.

    Parameters
    ----------
    rate_bpp, quality : (n,) arrays
        Raw points in any order. A point whose quality is NaN is dropped. Of equal points one stays.

    Returns
    -------
    Points
        Rate and quality both rise strictly.

    Raises
    ------
    ValueError
        If the arrays differ in length or a rate is not positive and finite.
    """
    rate, quality = np.asarray(rate_bpp, np.float64), np.asarray(quality, np.float64)
    if rate.shape != quality.shape or rate.ndim != 1:
        raise ValueError(f"{rate.shape} rates and {quality.shape} qualities")
    if not (np.isfinite(rate) & (rate > 0)).all():
        raise ValueError("a rate that is not positive and finite")
    order = np.lexsort((-quality, rate))
    order = order[np.isfinite(quality[order])]
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(quality[order])[:-1]])[: len(order)]
    kept = order[quality[order] > best_before]
    return Points(rate[kept], quality[kept], len(rate) - len(kept))


def compare(
    anchor_rate_bpp: np.ndarray,
    anchor_quality: np.ndarray,
    test_rate_bpp: np.ndarray,
    test_quality: np.ndarray,
    minimum_overlap: float = MINIMUM_OVERLAP,
) -> BdRate:
    """BD-rate of a test curve against an anchor.

    Parameters
    ----------
    anchor_rate_bpp, anchor_quality, test_rate_bpp, test_quality : arrays
        Raw points of both curves, in any order.
    minimum_overlap : float
        Least overlap of the qualities, 0 to 1.

    Raises
    ------
    ValueError
        As `pareto_points`.
    """
    anchor = pareto_points(anchor_rate_bpp, anchor_quality)
    test = pareto_points(test_rate_bpp, test_quality)
    overlap = quality_overlap(anchor.quality, test.quality)
    reason = _obstacle(anchor, test, overlap, minimum_overlap)
    rate_percent = quality_change = NAN
    if not reason:
        curves = (anchor.rate_bpp, anchor.quality, test.rate_bpp, test.quality)
        settings = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
        rate_percent = float(bjontegaard.bd_rate(*curves, **settings))
        if max(anchor.rate_bpp[0], test.rate_bpp[0]) < min(anchor.rate_bpp[-1], test.rate_bpp[-1]):
            quality_change = float(bjontegaard.bd_psnr(*curves, **settings))
    return BdRate(
        bd_rate_percent=rate_percent,
        bd_quality=quality_change,
        overlap=overlap,
        points_anchor=len(anchor.rate_bpp),
        points_test=len(test.rate_bpp),
        dropped_anchor=anchor.dropped,
        dropped_test=test.dropped,
        comparable=not reason,
        reason=reason,
    )


def quality_overlap(anchor_quality: np.ndarray, test_quality: np.ndarray) -> float:
    """Length of the common quality range over that of the joint one; 0 where a curve has no range."""
    if len(anchor_quality) < 2 or len(test_quality) < 2:
        return 0.0
    common = min(anchor_quality.max(), test_quality.max()) - max(anchor_quality.min(), test_quality.min())
    joint = max(anchor_quality.max(), test_quality.max()) - min(anchor_quality.min(), test_quality.min())
    return float(max(common, 0.0) / joint)


def _obstacle(anchor: Points, test: Points, overlap: float, minimum_overlap: float) -> str:
    for name, points in (("anchor", anchor), ("test", test)):
        if len(points.rate_bpp) < MINIMUM_POINTS:
            return (
                f"{len(points.rate_bpp)} of the {name}'s {len(points.rate_bpp) + points.dropped} points remain, "
                f"{MINIMUM_POINTS} are needed"
            )
    if overlap < minimum_overlap or overlap == 0:
        return f"the qualities overlap by {100 * overlap:.0f} %, {100 * minimum_overlap:.0f} % are needed"
    return ""


def bd_rate_from_csv(anchor_path: Path | str, test_path: Path | str) -> BdRate:
    """BD-rate of two CSV files with the columns `rate_bpp` and `quality`.

    Raises
    ------
    InputError
        If a file is absent, has no such columns, or holds something else than positive rates and numbers.
    """
    anchor, test = _read_curve(Path(anchor_path)), _read_curve(Path(test_path))
    return compare(anchor["rate_bpp"], anchor["quality"], test["rate_bpp"], test["quality"])


def _read_curve(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a CSV file with the columns rate_bpp and quality")
    try:
        frame = pd.read_csv(path, skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not a CSV file ({error}); write the columns rate_bpp and quality") from error
    missing = [name for name in ("rate_bpp", "quality") if name not in frame.columns]
    if missing:
        raise InputError(f"{path}: no column {' and '.join(missing)}; the first line names rate_bpp and quality")
    if frame.empty:
        raise InputError(f"{path}: no points; write one line a point")
    for name in ("rate_bpp", "quality"):
        values = pd.to_numeric(frame[name], errors="coerce")
        wrong = ~np.isfinite(values) | ((values <= 0) if name == "rate_bpp" else False)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            kind = "positive number" if name == "rate_bpp" else "number"
            raise InputError(f"{path}: line {row + 2}: {name} {frame[name][row]!r} is no {kind}; correct it")
        frame[name] = values
    return frame
