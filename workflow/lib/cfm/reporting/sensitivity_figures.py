"""Figures of the Jacobian sketches: predicted against true feature distance, and importance maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cfm.reporting.drawing import SCALE_COLOURS, display_name, panels, styled

GUIDED = ("idse_sketch", "idse", "idse_sketch_dqp", "idse_dqp")  # schemes that the scatter prefers
MOST_GUIDED = 2
RELATIVE = {"vmin": -1.5, "vmax": 1.5}  # what maps of `relative_importance` show


def idse_scatter(distances: pd.DataFrame, correlation: pd.DataFrame, task: str) -> Figure:
    """Predicted over true feature distance of every decoded picture.

    One panel a codec; where probes guided an encoder, one a scheme of the first such codec, see `shown_schemes`, with
    the predictions by these probes for circles.

    Parameters
    ----------
    distances, correlation : pandas.DataFrame
        Rows of the schemas `distances` and `idse_correlation`.
    task : str
        The network that is drawn.
    """
    rows = distances[(distances["task"] == task) & (distances["idse"] > 0) & (distances["feature_distance"] > 0)]
    rows = rows.assign(idse_seen=rows["idse_seen"].astype(float))
    found = correlation[correlation["task"] == task]
    curves = shown_schemes(rows)
    with styled():
        figure, axes = panels(1, max(len(curves), 1), width=3.3, height=3.2)
        drawn = [rows[(rows["codec"] == codec) & (rows["scheme"] == scheme)] for codec, scheme in curves]
        values = [curve[["idse", "idse_seen", "feature_distance"]].to_numpy().ravel() for curve in drawn]
        values = np.concatenate([np.empty(0), *values])
        several = len({scheme for _, scheme in curves}) > 1
        for (codec, scheme), curve, panel in zip(curves, drawn, axes[0], strict=False):
            table = found[(found["codec"] == codec) & (found["scheme"] == scheme)].set_index("point")
            points = sorted(set(curve["point"]))
            for point, colour in zip(points, _sequence(len(points)), strict=True):
                chosen = curve[curve["point"] == point]
                label = f"point {point:g}"
                if point in table.index:
                    label += f": r {table.loc[point, 'pearson']:.2f}, ρ {table.loc[point, 'spearman']:.2f}"
                panel.plot(chosen["feature_distance"], chosen["idse"], "o", ms=3, mew=0, color=colour, label=label)
                panel.plot(chosen["feature_distance"], chosen["idse_seen"], "o", ms=3, mew=0.6, mfc="none", mec=colour)
            if curve["idse_seen"].notna().any():
                panel.plot([], [], "o", ms=3, mew=0.6, mfc="none", mec="#444444", label="by the probes that guided")
            ends = [np.nanmin(values[values > 0]), np.nanmax(values)]
            panel.plot(ends, ends, color="#444444", lw=0.8, ls=(0, (4, 3)))
            name = f"{codec}, {scheme}" if several else display_name(codec)
            panel.set(xscale="log", yscale="log", title=name, xlabel="true ‖f(x) − f(x̂)‖²")
            panel.legend(loc="upper left", fontsize=7, handletextpad=0.1, borderaxespad=0.1)
        axes[0][0].set_ylabel("predicted by IDSE")
    return figure


def shown_schemes(distances: pd.DataFrame) -> list[tuple[str, str]]:
    """Codec and scheme of the panels of `idse_scatter`.

    The squared error of every codec; where the probes that guided an encoder are known, schemes of the first such
    codec: the squared error's, the paper's raw sketches, the pooled matrices, or else the first ones.
    """
    guided = distances[distances["idse_seen"].notna()]
    if guided.empty:
        pairs = distances[["codec", "scheme"]].drop_duplicates().sort_values(["codec", "scheme"])
        several = pairs.groupby("codec")["scheme"].transform("nunique") > 1
        return list(pairs[~several | (pairs["scheme"] == "sse")].itertuples(index=False, name=None))
    codec = min(guided["codec"])
    schemes = sorted(set(guided.loc[guided["codec"] == codec, "scheme"]))
    preferred = [name for name in GUIDED if name in schemes] or schemes
    plain = ["sse"] if ((distances["codec"] == codec) & (distances["scheme"] == "sse")).any() else []
    return [(codec, scheme) for scheme in plain + preferred[:MOST_GUIDED]]


def _sequence(count: int) -> list[str]:
    """Colours of an ordered set."""
    return [SCALE_COLOURS[round(n * 6 / max(count - 1, 1))] for n in range(count)]


def relative_importance(importance: np.ndarray) -> np.ndarray:
    """log10 of a map of importance, 0 or more, over its mean."""
    return np.log10(np.maximum(importance, importance.max() * 1e-6 + 1e-30) / importance.mean())


def importance_maps(pictures: Sequence[np.ndarray], maps: Sequence[np.ndarray], block: int) -> Figure:
    """Pictures above their importance maps.

    Parameters
    ----------
    pictures : sequence of (h, w, 3) uint8 arrays
        RGB.
    maps : sequence of (rows, columns) arrays
        Squared Jacobian sketch in blocks, 0 or more.
    block : int
        Side of a block in pixels of the picture.
    """
    with styled():
        tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures)
        figure, axes = panels(2, len(pictures), width=3.2, height=3.1 * tallest)
        for n, (picture, importance) in enumerate(zip(pictures, maps, strict=True)):
            height, width = picture.shape[:2]
            axes[0][n].imshow(picture)
            extent = (0, importance.shape[1] * block, importance.shape[0] * block, 0)
            image = axes[1][n].imshow(relative_importance(importance), cmap="magma", extent=extent, **RELATIVE)
            axes[1][n].set(xlim=(0, width), ylim=(height, 0))
            for panel in (axes[0][n], axes[1][n]):
                panel.set_axis_off()
        bar = figure.colorbar(image, ax=axes[1], shrink=0.9, ticks=[-1, 0, 1])
        bar.set_ticklabels(["0.1 ×", "mean", "10 ×"])
        bar.set_label("sensitivity per sample")
    return figure
