"""Figures of the Jacobian sketches: predicted against true feature distance, and importance maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cfm.reporting.drawing import SCALE_COLOURS, display_name, panels, styled


def idse_scatter(distances: pd.DataFrame, correlation: pd.DataFrame, task: str) -> Figure:
    """Predicted over true feature distance of every decoded picture, one panel a codec.

    Parameters
    ----------
    distances, correlation : pandas.DataFrame
        Rows of the schemas `distances` and `idse_correlation`.
    task : str
        The network that is drawn.
    """
    rows = distances[(distances["task"] == task) & (distances["idse"] > 0) & (distances["feature_distance"] > 0)]
    codecs = sorted(set(rows["codec"]))
    with styled():
        figure, axes = panels(1, max(len(codecs), 1), width=3.3, height=3.2)
        ends = np.array(
            [rows[["idse", "feature_distance"]].min().min(), rows[["idse", "feature_distance"]].max().max()]
        )
        for codec, panel in zip(codecs, axes[0], strict=False):
            found = correlation[(correlation["codec"] == codec) & (correlation["task"] == task)].set_index("point")
            points = sorted(set(rows[rows["codec"] == codec]["point"]))
            for point, colour in zip(points, _sequence(len(points)), strict=True):
                chosen = rows[(rows["codec"] == codec) & (rows["point"] == point)]
                label = f"point {point:g}"
                if point in found.index:
                    label += f": r {found.loc[point, 'pearson']:.2f}, ρ {found.loc[point, 'spearman']:.2f}"
                panel.plot(chosen["feature_distance"], chosen["idse"], "o", ms=3, mew=0, color=colour, label=label)
            panel.plot(ends, ends, color="#444444", lw=0.8, ls=(0, (4, 3)))
            panel.set(xscale="log", yscale="log", title=display_name(codec), xlabel="true ‖f(x) − f(x̂)‖²")
            panel.legend(loc="upper left", fontsize=7, handletextpad=0.1, borderaxespad=0.1)
        axes[0][0].set_ylabel("predicted by IDSE")
    return figure


def _sequence(count: int) -> list[str]:
    """Colours of an ordered set."""
    return [SCALE_COLOURS[round(n * 6 / max(count - 1, 1))] for n in range(count)]


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
            relative = np.log10(np.maximum(importance, importance.max() * 1e-6 + 1e-30) / importance.mean())
            extent = (0, importance.shape[1] * block, importance.shape[0] * block, 0)
            image = axes[1][n].imshow(relative, cmap="magma", extent=extent, vmin=-1.5, vmax=1.5)
            axes[1][n].set(xlim=(0, width), ylim=(height, 0))
            for panel in (axes[0][n], axes[1][n]):
                panel.set_axis_off()
        bar = figure.colorbar(image, ax=axes[1], shrink=0.9, ticks=[-1, 0, 1])
        bar.set_ticklabels(["0.1 ×", "mean", "10 ×"])
        bar.set_label("sensitivity per sample")
    return figure
