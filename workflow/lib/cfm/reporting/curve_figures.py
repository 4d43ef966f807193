"""Figures of accuracy: over the rate of a study, and over the rate of one scale by object size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cfm.configuration.studies import DELTAS
from cfm.evaluation.scoring import FIDELITY, UNCOMPRESSED, main_metric
from cfm.reporting.drawing import (
    SCALE_COLOURS,
    Label,
    colours_of,
    display_name,
    label_right,
    logarithmic_rate,
    panels,
    scale_name,
    styled,
)

METRIC_NAMES = {
    "AP": "AP@[.5:.95]",
    "top1": "top-1 accuracy",
    "AP_agreement": "AP against the uncompressed detections",
    "fidelity_db": "feature distance [dB]",
}
CROWDED = 8  # curves in a panel, above which it is larger
SIZES = {"APs": "Small objects", "APm": "Medium objects", "APl": "Large objects"}


def rate_accuracy(curves: pd.DataFrame, study: str, shown: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """Accuracy over rate, with bootstrap intervals and the accuracy without compression.

    One panel a task; in the feature coding study one row of panels a codec, and a line a scheme.

    Parameters
    ----------
    curves : pandas.DataFrame
        Rows of the schema `curves`.
    study : str
        The study that is drawn.
    shown : mapping or None
        Schemes that are drawn, by codec; of codecs that it does not name all are.
    """
    rows = curves[(curves["study"] == study) & (curves["metric"] == curves["task"].map(main_metric))]
    coded = rows[(rows["scheme"] != UNCOMPRESSED) & rows["quality"].notna()]
    for codec, schemes in (shown or {}).items():
        coded = coded[(coded["codec"] != codec) | coded["scheme"].isin(schemes)]
    tasks = list(dict.fromkeys(coded["task"]))
    groups = sorted(set(coded["codec"])) if study == "feature_coding" else [None]
    with styled():
        most = coded.drop_duplicates(["task", "codec", "scheme"])["task"].value_counts().max()
        size = {"width": 5.2, "height": 3.9} if groups == [None] and most > CROWDED else {"width": 4.3}
        figure, axes = panels(max(len(groups), 1), max(len(tasks), 1), **size)
        for group, row in zip(groups, axes, strict=False):
            for task, panel in zip(tasks, row, strict=False):
                chosen = coded[(coded["task"] == task) & ((coded["codec"] == group) | (group is None))]
                plain = rows[(rows["task"] == task) & (rows["scheme"] == UNCOMPRESSED)]["quality"]
                _draw_curves(panel, chosen, plain)
                panel.set_title(display_name(task) + (f", {display_name(group)}" if group else ""))
                panel.set_ylabel(METRIC_NAMES[main_metric(task)])
    return figure


def scheme_curves(curves: pd.DataFrame, codec: str) -> Figure:
    """All schemes of one of our encoders: a row of panels a task, by its accuracy and by the true feature distance.

    The curve of a scheme with delta-QPs is dashed, in the colour of the one without.

    Parameters
    ----------
    curves : pandas.DataFrame
        Rows of the schema `curves`.
    codec : str
        Which encoder.
    """
    rows = curves[(curves["study"] == "image_coding") & (curves["codec"] == codec) & curves["quality"].notna()]
    tasks, schemes = list(dict.fromkeys(rows["task"])), list(dict.fromkeys(rows["scheme"]))
    plain = dict.fromkeys(name.removesuffix(DELTAS) for name in schemes)
    colours = colours_of(list(plain))
    with styled():
        figure, axes = panels(max(len(tasks), 1), 2, width=4.6, height=3.4)
        for task, panel_row in zip(tasks, axes, strict=False):
            for metric, panel in zip((main_metric(task), FIDELITY), panel_row, strict=True):
                labels = []
                chosen = rows[(rows["task"] == task) & (rows["metric"] == metric)]
                for scheme, points in chosen.groupby("scheme", sort=False):
                    points, name = points.sort_values("rate_bpp"), scheme.removesuffix(DELTAS)
                    dashed = name != scheme and name in schemes
                    style = {"color": colours[name], "ls": "--" if dashed else "-", "lw": 1 if dashed else 1.5}
                    panel.plot(points["rate_bpp"], points["quality"], marker="" if dashed else "o", ms=3, **style)
                    if not dashed:
                        labels.append(Label(scheme, float(points["quality"].iloc[-1]), colours[name]))
                logarithmic_rate(panel, "rate [bit/pixel]")
                panel.set_title(f"{display_name(codec)}, {display_name(task)}")
                panel.set_ylabel(METRIC_NAMES[metric])
                label_right(panel, labels)
    return figure


def _draw_curves(axes: Axes, curves: pd.DataFrame, uncompressed: pd.Series) -> None:
    names = curves["scheme"]
    if curves["codec"].nunique() > 1:
        several = curves.groupby("codec")["scheme"].transform("nunique") > 1
        names = curves["codec"].where(~several, curves["codec"] + ", " + curves["scheme"])
    colours = colours_of(sorted(set(names)))
    labels = []
    for name, points in curves.groupby(names, sort=True):
        points = points.sort_values("rate_bpp")
        axes.plot(points["rate_bpp"], points["quality"], "o-", ms=3.5, lw=1.6, color=colours[name])
        axes.fill_between(
            points["rate_bpp"], points["quality_low"], points["quality_high"], color=colours[name], alpha=0.09, lw=0
        )
        labels.append(Label(display_name(name), float(points["quality"].iloc[-1]), colours[name]))
    for value in uncompressed.dropna():
        axes.axhline(value, color="#444444", ls=(0, (4, 3)), lw=1)
        labels.append(Label("uncompressed", float(value), "#444444"))
    logarithmic_rate(axes, "rate [bit/pixel]")
    axes.set_ylim(*_padded(axes.get_ylim()))
    label_right(axes, labels)


def _padded(limits: tuple[float, float]) -> tuple[float, float]:
    """Limits of a share of 1, no lower than 0 and never without height."""
    low, high = max(limits[0], 0.0), min(limits[1], 1.02)
    return (low, high) if high - low > 1e-6 else (low, low + 0.1)


def size_sensitivity_curves(table: pd.DataFrame, task: str, codec: str) -> Figure:
    """Accuracy when one scale alone is coded, over that scale's rate: one panel an object size.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of the schema `sensitivity_by_size`.
    task, codec : str
        What is drawn.
    """
    rows = table[(table["task"] == task) & (table["codec"] == codec) & table["metric"].isin(SIZES)].dropna(
        subset=["quality"]
    )
    metrics = [metric for metric in SIZES if metric in set(rows["metric"])]
    with styled():
        figure, axes = panels(1, max(len(metrics), 1), width=3.8)
        for metric, panel in zip(metrics, axes[0], strict=False):
            labels = []
            for scale, points in rows[rows["metric"] == metric].groupby("scale"):
                points, colour = points.sort_values("rate"), SCALE_COLOURS[int(scale)]
                panel.plot(points["rate"], points["quality"], "o-", ms=3.5, lw=1.5, color=colour)
                labels.append(Label(scale_name(int(scale)), float(points["quality"].iloc[0]), colour))
            uncoded = float(rows[rows["metric"] == metric]["quality_uncoded"].iloc[0])
            panel.axhline(uncoded, color="#444444", ls=(0, (4, 3)), lw=1)
            logarithmic_rate(panel, "rate of the coded scale [bit/sample]")
            panel.invert_xaxis()
            panel.set_ylim(*_padded(panel.get_ylim()))
            label_right(panel, [*labels, Label("uncoded", uncoded, "#444444")])
            panel.set_title(SIZES[metric])
            panel.set_ylabel(metric)
    return figure
