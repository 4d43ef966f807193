"""Figures of the feature coding models: loss over rate, rate over phi, and the weights of the scales."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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

LINES = {"cauchy": "-", "quadratic": "--", "inverse": ":"}


def loss_rate_fits(points: pd.DataFrame, fits: pd.DataFrame, importance: pd.DataFrame) -> Figure:
    """Loss over rate of all scales, each relative to its weight, with the models that all scales share.

    Parameters
    ----------
    points, fits, importance : pandas.DataFrame
        Rows of the schemas `loss_rate_points`, `loss_rate_fit` and `importance`, of any tasks and codecs.
    """
    weights = importance[importance["scheme"] == "mfiba"].groupby(["task", "codec", "scale"])["weight"].mean()
    rows = points.join(weights.rename("mean_weight"), on=["task", "codec", "scale"])
    rows = rows[rows["mean_weight"] > 0].assign(relative=lambda frame: frame["loss"] / frame["mean_weight"])
    with styled():
        figure, axes = _grid(rows)
        for (codec, task), panel in axes.items():
            chosen = rows[(rows["codec"] == codec) & (rows["task"] == task)]
            _draw_scales(panel, chosen, "rate", "relative")
            shared = fits[(fits["codec"] == codec) & (fits["task"] == task) & fits["scale"].isna()]
            rate = np.geomspace(chosen["rate"].min(), chosen["rate"].max(), 100)
            for _, fit in shared.iterrows():
                text = f"{fit['model']}: CC {fit['cc']:.3f}, RMSE {fit['rmse']:.3g}"
                panel.plot(rate, loss_of_fit(fit, rate), color="#222222", lw=1.2, ls=LINES[fit["model"]], label=text)
            logarithmic_rate(panel, "rate [bit/mosaic sample]")
            panel.set_ylim(0, 1.25 * chosen["relative"].max())
            panel.set(ylabel="loss / weight")
            panel.legend(fontsize=7)
    return figure


def loss_of_fit(fit: pd.Series, rate: np.ndarray) -> np.ndarray:
    """Loss over weight that a row of the schema `loss_rate_fit` gives at rates in bits per mosaic sample."""
    if fit["model"] == "cauchy":
        return fit["a"] * rate ** -fit["b"]
    if fit["model"] == "inverse":
        return fit["a"] / rate + fit["b"] / rate**2
    return fit["a"] * rate**2 + fit["b"] * rate + fit["c"]


def rate_phi_fits(points: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Rate over the codec's parameter, a line a scale, for the model of the highest mean correlation.

    Parameters
    ----------
    points, fits : pandas.DataFrame
        Rows of the schemas `rate_phi_points` and `rate_phi_fit`.
    """
    with styled():
        figure, axes = _grid(points)
        for (codec, task), panel in axes.items():
            chosen = points[(points["codec"] == codec) & (points["task"] == task)]
            found = fits[(fits["codec"] == codec) & (fits["task"] == task)]
            kind = found.groupby("kind")["cc"].apply(lambda values: values.abs().mean()).idxmax()
            _draw_scales(panel, chosen, "phi", "rate")
            phi = np.linspace(chosen["phi"].min(), chosen["phi"].max(), 200)
            for _, fit in found[found["kind"] == kind].iterrows():
                panel.plot(phi, rate_of_fit(fit, phi), color=SCALE_COLOURS[int(fit["scale"])], lw=1.2)
            lines = {"phi": "R = a φ + b", "log_phi": "R = a log φ + b", "log_rate_qp": "log R = a QP + b"}
            values = found[found["kind"] == kind]["cc"].abs()
            panel.text(0.02, 0.97, f"{lines[kind]}: |CC| ≥ {values.min():.3f}", transform=panel.transAxes, va="top")
            if kind == "log_phi":
                logarithmic_rate(panel, "φ (Lagrangian)")
            panel.set(xlabel="QP" if kind == "log_rate_qp" else "φ (Lagrangian)", ylabel="rate [bit/mosaic sample]")
            panel.set_ylim(0, 1.2 * chosen["rate"].max())
    return figure


def rate_of_fit(fit: pd.Series, phi: np.ndarray) -> np.ndarray:
    """Bits per mosaic sample that a row of the schema `rate_phi_fit` gives at parameters phi."""
    if fit["kind"] == "log_rate_qp":
        return np.exp(fit["a"] * phi + fit["b"])
    return fit["a"] * (np.log(phi) if fit["kind"] == "log_phi" else phi) + fit["b"]


def _grid(rows: pd.DataFrame) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Panels with titles, one row a codec and one column a task, for the pairs that there are."""
    codecs, tasks = sorted(set(rows["codec"])), list(dict.fromkeys(rows["task"]))
    figure, axes = panels(max(len(codecs), 1), max(len(tasks), 1), width=4.0)
    present = set(zip(rows["codec"], rows["task"], strict=True))
    named = {}
    for r, codec in enumerate(codecs):
        for c, task in enumerate(tasks):
            if (codec, task) in present:
                named[codec, task] = axes[r][c]
                axes[r][c].set_title(f"{display_name(task)}, {display_name(codec)}")
            else:
                axes[r][c].set_axis_off()
    return figure, named


def _draw_scales(axes: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """Points in the colours of the scales, each named at its point of the highest rate."""
    for scale, chosen in rows.groupby("scale"):
        chosen, colour = chosen.sort_values("rate"), SCALE_COLOURS[int(scale)]
        axes.plot(chosen[x], chosen[y], "o", ms=4, color=colour)
        place = (float(chosen[x].iloc[-1]), float(chosen[y].iloc[-1]))
        axes.annotate(scale_name(int(scale)), place, (5, 3), textcoords="offset points", color=colour, fontsize=8)


def allocation_weights(importance: pd.DataFrame) -> Figure:
    """Weights of the scales over pictures: median, quartiles and every picture, a panel a task and codec.

    Parameters
    ----------
    importance : pandas.DataFrame
        Rows of the schema `importance`.
    """
    with styled():
        figure, axes = _grid(importance)
        for (codec, task), panel in axes.items():
            chosen = importance[(importance["codec"] == codec) & (importance["task"] == task)]
            schemes = sorted(set(chosen["scheme"]))
            colours = colours_of(schemes)
            labels = []
            for n, scheme in enumerate(schemes):
                shift = 0.24 * (n - (len(schemes) - 1) / 2)
                groups = chosen[chosen["scheme"] == scheme].groupby("scale")["weight"]
                quartiles = groups.quantile([0.25, 0.5, 0.75]).unstack()
                for scale, values in groups:
                    jitter = np.linspace(-0.07, 0.07, len(values))
                    panel.plot(scale + shift + jitter, values, ".", ms=2.5, color=colours[scheme], alpha=0.35)
                x = quartiles.index.to_numpy(float) + shift
                panel.vlines(x, quartiles[0.25], quartiles[0.75], color=colours[scheme], lw=5, alpha=0.5)
                panel.plot(x, quartiles[0.5], "_", ms=14, mew=2, color=colours[scheme])
                labels.append(Label(display_name(scheme), float(quartiles[0.5].iloc[-1]), colours[scheme]))
            scales = sorted(set(chosen["scale"]))
            panel.set_xticks(scales, [scale_name(int(scale)) for scale in scales])
            panel.axhline(1 / len(scales), color="#444444", ls=(0, (4, 3)), lw=1)
            panel.set_ylim(0, min(1.02, 1.05 * chosen["weight"].max()))
            label_right(panel, [*labels, Label("equal", 1 / len(scales), "#444444")])
            panel.set(ylabel="weight of the scale")
    return figure
