"""What all figures share: style, colours by name, labels beside lines, and files that depend on the data alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import seaborn
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from cfm.provenance import atomic_path

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "svg.hashsalt": "cfm",
    "svg.fonttype": "path",
}
PALETTE = seaborn.color_palette("colorblind").as_hex()
# Names keep their colour in every figure; others take the remaining ones in alphabetical order.
COLOURS = {
    "x264": PALETTE[7],
    "x265": PALETTE[0],
    "kvazaar": PALETTE[2],
    "vvenc": PALETTE[3],
    "cheng2020-attn": PALETTE[4],
    "elic": PALETTE[1],
    "lic-tcm": PALETTE[5],
    "none": PALETTE[7],
    "ground_truth": PALETTE[1],
    "objectness": PALETTE[0],
    "uniform": PALETTE[7],
    "mfiba": PALETTE[0],
    "saba": PALETTE[1],
}
SCALE_COLOURS = seaborn.color_palette("viridis", 8).as_hex()  # as many scales as a configuration may name
NAMES = {
    "none": "unweighted",
    "ground_truth": "ground truth",
    "mfiba": "MFIBA",
    "saba": "SABA",
    "elic": "ELIC",
    "lic-tcm": "LIC-TCM",
    "detection": "Detection (boxes)",
    "segmentation": "Instance segmentation (masks)",
    "keypoints": "Keypoints",
    "classification": "Classification",
    "image_coding": "Image coding",
    "distillation": "Distillation",
    "feature_coding": "Feature coding",
    "training": "Training of the learned codecs",
}
DPI = 160


class Label(NamedTuple):
    """A text at the right margin.

    Attributes
    ----------
    text : str
        What it says.
    value : float
        Ordinate that it belongs to, data units.
    colour : str
        Of the text.
    """

    text: str
    value: float
    colour: str


def display_name(name: str) -> str:
    """A codec, scheme or task as readers know it."""
    return NAMES.get(name, name)


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """A colour for every name, no two the same."""
    known = {name: COLOURS[name] for name in names if name in COLOURS}
    unknown = sorted(set(names) - COLOURS.keys())
    free = [colour for colour in PALETTE[5:] + PALETTE[:5] if colour not in known.values()]
    if len(unknown) > len(free):
        free = seaborn.color_palette("husl", len(unknown)).as_hex()
    return known | dict(zip(unknown, free, strict=False))


def scale_name(scale: int) -> str:
    """A pyramid's scale as the papers call it: scale 0 is P2."""
    return f"P{scale + 2}"


def panels(rows: int, columns: int, width: float = 3.6, height: float = 2.9) -> tuple[Figure, list[list[Axes]]]:
    """A figure of `rows` x `columns` axes, each about `width` x `height` inches; call within `styled()`."""
    figure = Figure(figsize=(width * columns + 0.3, height * rows + 0.2), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [list(row) for row in figure.subplots(rows, columns, squeeze=False)]


def styled() -> matplotlib.RcParams:
    """The context in which figures are drawn."""
    return matplotlib.rc_context(STYLE)


def logarithmic_rate(axes: Axes, label: str) -> None:
    """A logarithmic abscissa with plain numbers at 1, 2 and 5 times powers of ten."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(label)


def label_right(axes: Axes, labels: Sequence[Label]) -> None:
    """Write labels beside the right edge, at their values but never over each other.

    Call after the limits of the axes are final.
    """
    scaled = axes.yaxis.get_transform().transform
    low, high = scaled(axes.get_ylim())
    height_points = axes.get_position().height * axes.figure.get_size_inches()[1] * 72
    gap = 1.25 * STYLE["font.size"] / max(height_points, 1.0)
    placed = spread([(float(scaled(label.value)) - low) / (high - low) for label in labels], gap)
    for label, position in zip(labels, placed, strict=True):
        axes.text(1.02, position, label.text, color=label.colour, transform=axes.transAxes, va="center", ha="left")


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Positions at least `gap` apart, in the same order, as near to the given ones as groups of neighbours allow."""
    order = sorted(range(len(positions)), key=lambda n: positions[n])
    groups: list[list[float]] = []  # sum of (position - offset in the group), members
    for n in order:
        groups.append([positions[n], 1])
        while len(groups) > 1 and _start(groups[-2], gap) + groups[-2][1] * gap > _start(groups[-1], gap):
            total, members = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += members
    placed = [_start(group, gap) + gap * k for group in groups for k in range(int(group[1]))]
    result = [0.0] * len(positions)
    for n, position in zip(order, placed, strict=True):
        result[n] = position
    return result


def _start(group: list[float], gap: float) -> float:
    """First position of a group that is centred on its members' mean."""
    total, members = group
    return total / members - gap * (members - 1) / 2


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write a figure as `path`, an .svg, and beside it as .png; the SVG last, so that both are there when it is.

    The files hold no dates: the same data give the same bytes.
    """
    path = Path(path)
    with styled():
        with atomic_path(path.with_suffix(".png")) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata={"Software": None})
        figure.set_layout_engine("none")  # what was laid out for the first file holds for the second
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
