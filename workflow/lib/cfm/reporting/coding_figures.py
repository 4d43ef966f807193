"""Figures of what our own encoders do: maps of QPs and partitions, where bits went, what each decision is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from cfm.reporting.drawing import PALETTE, display_name, panels, styled
from cfm.reporting.sensitivity_figures import RELATIVE, relative_importance

GROUP, UNIT = 16, 4  # luma samples of an entry of a map of QPs and of sides
SIDES = (4, 8, 16, 32, 64)
PARTITIONS = ListedColormap(["#08306b", "#2f7ebc", "#84bcdb", "#d3e3f3", "#f7fbff"])
MAIN_COLOUR, SECOND_COLOUR = PALETTE[0], PALETTE[1]


class CodedMaps(NamedTuple):
    """What an encoder knows of a picture that it coded.

    Attributes
    ----------
    scheme : str
        Row of the table of schemes.
    rate_bpp : float
        Bits of the stream over the pixels.
    delta_qps : array (ceil(h / 16), ceil(w / 16)) int
        QP of each group minus that of the slice.
    sides : array (ceil(h / 4), ceil(w / 4))
        Side of the prediction block that each 4x4 block of luma lies in.
    """

    scheme: str
    rate_bpp: float
    delta_qps: np.ndarray
    sides: np.ndarray


def coding_maps(
    pictures: Sequence[np.ndarray],
    importance: Sequence[np.ndarray],
    coded: Sequence[Sequence[CodedMaps]],
    block: int,
) -> Figure:
    """A row a picture: the picture, its importance map, and of every scheme the delta-QPs, if any, and the partition.

    Parameters
    ----------
    pictures : sequence of (h, w, 3) uint8 arrays
        RGB.
    importance : sequence of (rows, columns) arrays
        As in `importance_maps`, in blocks of side `block`.
    coded : sequence of sequences of CodedMaps
        By picture, by scheme.
    """
    varies = [any(row[n].delta_qps.any() for row in coded) for n in range(len(coded[0]))]
    largest = max(max(np.abs(maps.delta_qps).max() for row in coded for maps in row), 1)
    levels = np.arange(-largest - 0.5, largest + 1)
    qp_norm, side_norm = BoundaryNorm(levels, 256), BoundaryNorm(np.arange(len(SIDES) + 1) - 0.5, len(SIDES))
    columns = 2 + len(varies) + sum(varies)
    with styled():
        heights = [picture.shape[0] / picture.shape[1] for picture in pictures]
        figure, axes = panels(len(pictures), columns, width=2.3, height=2.3 * sum(heights) / len(heights) + 0.3)
        axes[0][0].get_gridspec().set_height_ratios(heights)
        figure.get_layout_engine().set(h_pad=0.12)  # inches: titles of axes that are off are not counted
        for picture, felt, row, (first, second, *others) in zip(pictures, importance, coded, axes, strict=True):
            size = picture.shape[:2]
            first.imshow(picture)
            importance_image = show_map(second, relative_importance(felt), size, block, cmap="magma", **RELATIVE)
            second.set_title("importance", fontsize=8)
            places = enumerate(others, 2)
            for maps, has_deltas in zip(row, varies, strict=True):
                if has_deltas:
                    column, panel = next(places)
                    qp_image = show_map(panel, maps.delta_qps, size, GROUP, cmap="PuOr", norm=qp_norm)
                    panel.set_title(f"{maps.scheme}: QP − slice's", fontsize=8)
                    qp_column = column
                column, panel = next(places)
                side_image = show_map(panel, np.log2(maps.sides) - 2, size, UNIT, cmap=PARTITIONS, norm=side_norm)
                panel.set_title(f"{maps.scheme}: {maps.rate_bpp:.3f} bpp", fontsize=8)
            for panel in (first, second, *others):
                panel.set_axis_off()
        bar = below(axes, 1, importance_image, "sensitivity per sample", [-1, 0, 1])
        bar.set_ticklabels(["0.1 ×", "mean", "10 ×"])
        if any(varies):
            below(axes, qp_column, qp_image, "QP − slice's QP", [-largest, 0, largest])
        bar = below(axes, column, side_image, "side of prediction blocks", range(len(SIDES)))
        bar.set_ticklabels([str(side) for side in SIDES])
    return figure


def show_map(axes: Axes, values: np.ndarray, size: tuple[int, int], block: int, **style: object) -> AxesImage:
    """Draw a map in blocks over the area of a picture of `size`, (h, w) pixels."""
    extent = (0, values.shape[1] * block, values.shape[0] * block, 0)
    image = axes.imshow(values, extent=extent, interpolation="nearest", **style)
    axes.set(xlim=(0, size[1]), ylim=(size[0], 0))
    return image


def below(axes: list[list[Axes]], column: int, image: AxesImage, label: str, ticks: Sequence[float]) -> Colorbar:
    """The bar of colours of a column's maps, below it."""
    # Without an anchor of its own: the maps of a row stay side by side.
    style = {"location": "bottom", "aspect": 16, "shrink": 0.85, "pad": 0.04, "panchor": False}
    bar = axes[0][0].figure.colorbar(image, ax=[row[column] for row in axes], ticks=list(ticks), **style)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return bar


def bit_shares_by_scheme(table: pd.DataFrame) -> Figure:
    """Shares of bits and of luma's squared error inside objects, a panel an encoder, a line a scheme.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of the schema `bit_shares`.
    """
    codecs = sorted(set(table["codec"]))
    schemes = list(dict.fromkeys(table["scheme"]))
    with styled():
        figure, axes = panels(1, max(len(codecs), 1), width=4.3, height=max(0.24 * len(schemes), 1) + 1.1)
        for codec, panel in zip(codecs, axes[0], strict=False):
            rows = table[table["codec"] == codec]
            points = sorted(set(rows["point"]))
            for n, point in enumerate(points):
                chosen = rows[rows["point"] == point]
                heights = [schemes.index(scheme) for scheme in chosen["scheme"]]
                style = {"ls": "", "marker": "os^Dv"[n % 5], "ms": 5}
                panel.plot(chosen["bit_share"], heights, color=MAIN_COLOUR, label=f"bits, QP {point:g}", **style)
                style |= {"mfc": "none", "mec": SECOND_COLOUR}
                panel.plot(chosen["error_share"], heights, label=f"squared error, QP {point:g}", **style)
            panel.axvline(rows["area_share"].mean(), color="#444444", lw=1, ls=(0, (4, 3)), label="area")
            panel.set(title=display_name(codec), xlabel="share inside objects", yticks=range(len(schemes)))
            panel.set_yticklabels(schemes if panel is axes[0][0] else [])
            panel.set_ylim(len(schemes) - 0.5, -0.5)
        axes[0][0].set_ylabel("scheme")
        if codecs:
            figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def decisions_bars(bd_rate: pd.DataFrame, task: str, schemes: Sequence[str]) -> Figure:
    """BD-rate by feature distance against the squared error of the same encoder, a bar a scheme.

    Parameters
    ----------
    bd_rate : pandas.DataFrame
        Rows of the schema `bd_rate`.
    task : str
        Whose network's features.
    schemes : sequence of str
        Rows of the table of schemes, in the order of the bars.
    """
    rows = bd_rate[(bd_rate["task"] == task) & (bd_rate["metric"] == "fidelity_db") & bd_rate["comparable"]]
    rows = rows[rows["study"] == "image_coding"]
    tests = [name.split("/") for name in rows["test"]]
    rows = rows.assign(codec=[codec for codec, _ in tests], scheme=[scheme for _, scheme in tests])
    against_sse = [anchor == f"{codec}/sse" for anchor, codec in zip(rows["anchor"], rows["codec"], strict=True)]
    rows = rows[np.array(against_sse, bool) & rows["scheme"].isin(schemes)]
    codecs = sorted(set(rows["codec"]))
    with styled():
        figure, axes = panels(1, max(len(codecs), 1), width=4.3, height=max(0.24 * len(schemes), 1) + 0.8)
        for codec, panel in zip(codecs, axes[0], strict=False):
            chosen = rows[rows["codec"] == codec]
            heights = [schemes.index(scheme) for scheme in chosen["scheme"]]
            values = chosen["bd_rate_percent"].to_numpy(float)
            panel.barh(heights, values, height=0.65, color=MAIN_COLOUR)
            # An interval of the bootstrap need not hold the value itself.
            ends = chosen[["low", "high"]].to_numpy(float)
            panel.hlines(heights, ends[:, 0], ends[:, 1], color="#222222", lw=1)
            panel.axvline(0, color="#444444", lw=0.8)
            panel.set(title=display_name(codec), xlabel="BD-rate by feature distance [%]", yticks=range(len(schemes)))
            panel.set_yticklabels(schemes if panel is axes[0][0] else [])
            panel.set_ylim(len(schemes) - 0.5, -0.5)
        axes[0][0].set_ylabel("scheme")
    return figure
