"""Figures of trainings: what the parts of the loss became over the iterations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import seaborn
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from cfm.reporting.drawing import Label, label_right, panels, styled
from cfm.reporting.training_logs import Step, Training, mean, psnr_db

MEANS_A_DECADE = 10  # of a line: batches differ by far more than the training changes in as many iterations
WIDE = 4.0  # ratio of the ends of an axis from which on it is logarithmic
MOST_TICKS_RATIO = 100.0  # above it only powers of ten are named


def training_curves(trainings: Sequence[Training], study: str) -> Figure:
    """Rate and distortion over the iterations, a line a model; the axis of the iterations is logarithmic.

    Parameters
    ----------
    trainings : sequence of Training
        Of one codec, by ascending Lagrangian; those without a log are left out.
    study : str
        In "distillation" the distortion is a feature distance, otherwise PSNR stands for it.
    """
    logged = [training for training in trainings if training.steps]
    colours = seaborn.color_palette("viridis", len(logged) + 1).as_hex()  # the last is too light for a line
    distilled, samples = study == "distillation", "mosaic sample" if study == "feature_coding" else "pixel"
    names = (f"rate [bit/{samples}]", "feature distance" if distilled else "PSNR [dB]")
    with styled():
        figure, [axes] = panels(1, 2, width=4.3)
        labels: list[list[Label]] = [[], []]
        for training, colour in zip(logged, colours, strict=False):
            steps = averaged(training.steps)
            rates = [step.rate_bpp for step in steps]
            distortions = [step.distortion if distilled else psnr_db(step.distortion) for step in steps]
            for panel, values, found in zip(axes, (rates, distortions), labels, strict=True):
                panel.plot(
                    [step.iteration for step in steps], values, "-" if len(steps) > 1 else ".", lw=1.4, color=colour
                )
                found.append(
                    Label(f"λ = {training.lambda_:g}" if training.lambda_ else "λ unknown", values[-1], colour)
                )
        for panel, name, found, decibels in zip(axes, names, labels, (False, not distilled), strict=True):
            panel.set(xlabel="iteration", ylabel=name)
            _spread_out(panel, panel.xaxis)
            if not decibels:
                _spread_out(panel, panel.yaxis)
            label_right(panel, found)
    return figure


def averaged(steps: Sequence[Step]) -> list[Step]:
    """Means of rate and distortion over stretches that are equally long on a logarithmic axis.

    The iteration of a mean is the last of its stretch; the last stretch ends with the training.
    """
    last = steps[-1].iteration

    def stretch(step: Step) -> int:
        return math.floor(MEANS_A_DECADE * math.log10(last / step.iteration))

    groups = [list(group) for _, group in groupby(steps, key=stretch)]
    return [mean(group)._replace(iteration=group[-1].iteration) for group in groups]


def short_number(value: float) -> str:
    """A number with the prefixes of thousands and millions: 20, 0.5, 100k, 1.5M."""
    for size, prefix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{prefix}"
    return f"{value:g}"


def _spread_out(axes: Axes, axis: Axis) -> None:
    """Make an axis logarithmic, with plain numbers, where the ends of its data are far from each other."""
    low, high = axis.get_data_interval()
    if not low > 0 or high < WIDE * low:
        return
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < MOST_TICKS_RATIO * low else (1.0,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
