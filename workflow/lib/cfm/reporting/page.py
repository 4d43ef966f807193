"""The report as one HTML page that needs nothing else: figures, tables and provenance."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from cfm.errors import InputError
from cfm.provenance import atomic_path
from cfm.reporting.drawing import display_name
from cfm.reporting.page_tables import (
    PageTable,
    caption,
    picture_counts,
    study_tables,
    summary_of,
    times_table,
    training_rows,
)
from cfm.reporting.training_logs import Training

TEMPLATE = Path(__file__).with_name("page.html.j2")
STUDIES = {
    "image_coding": "Pictures through standard and learned codecs, all intra, then through the task networks.",
    "distillation": "A learned codec, fine-tuned so that a frozen network sees the same features, by three weightings "
    "of the feature error.",
    "feature_coding": "Feature pyramids through a codec, then through the heads: bits among the scales, equal or "
    "allocated by importance.",
}
TRAINING = "training"
TRAINING_TEXT = "How the learned codecs came to their weights: one model an operating point."
PACKAGES = ("torch", "torchvision", "compressai", "snakemake", "pycocotools", "av", "imageio-ffmpeg", "bjontegaard")
PACKAGES += ("numpy", "scipy", "pandas")


@dataclass(frozen=True)
class Run:
    """What was run.

    Attributes
    ----------
    name, title : str
        Of the run and of the page.
    demo : bool
        Whether the page warns that its numbers are a demonstration's.
    configuration : str
        The configuration as text.
    digest : str
        Of the configuration.
    seed : int
        Of every random choice.
    commit : str
        Of the code; empty where it is not known.
    """

    name: str
    title: str
    demo: bool
    configuration: str
    digest: str
    seed: int
    commit: str = ""


@dataclass(frozen=True)
class PageFigure:
    """A figure of the page.

    Attributes
    ----------
    study : str
        Section that shows it: a study, or "training".
    kind : str
        Name of its caption, a file of `workflow/report`.
    title : str
        Heading, also what a screen reader says.
    path : Path
        The .svg file.
    """

    study: str
    kind: str
    title: str
    path: Path


def render_page(
    run: Run,
    tables: Mapping[str, pd.DataFrame],
    figures: Sequence[PageFigure],
    times: pd.DataFrame,
    trainings: Sequence[Training] = (),
) -> str:
    """The page as text.

    Parameters
    ----------
    run : Run
        What was run.
    tables : mapping
        Rows by schema name: `curves` and `bd_rate`; `idse_correlation`, `overhead`, `bit_shares`, `loss_rate_fit` and
        `rate_phi_fit` where the run has them.
    figures : sequence of PageFigure
        In the order of the page.
    times : pandas.DataFrame
        From `rule_times`.
    trainings : sequence of Training
        Of all learned models of the run; there is a section on them where there are any.

    Raises
    ------
    InputError
        If a figure or its caption is absent.
    """
    present = set(tables["curves"]["study"])
    sections = [
        _section(study, f"{text} {summary_of(tables['bd_rate'], study)}", figures, study_tables(tables, study))
        for study, text in STUDIES.items()
        if study in present
    ]
    if trainings:
        sections.append(_section(TRAINING, TRAINING_TEXT, figures, [training_rows(trainings)]))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        run=run,
        sections=sections,
        pictures=picture_counts(tables["curves"]),
        times=times_table(times),
        versions={name: version(name) for name in PACKAGES},
    )


def _section(name: str, text: str, figures: Sequence[PageFigure], tables: Sequence[PageTable]) -> dict[str, Any]:
    shown = [_shown(figure) for figure in figures if figure.study == name]
    return {"name": name, "title": display_name(name), "text": text, "figures": shown, "tables": tables}


def write_page(
    path: Path | str,
    run: Run,
    tables: Mapping[str, pd.DataFrame],
    figures: Sequence[PageFigure],
    times: pd.DataFrame,
    trainings: Sequence[Training] = (),
) -> None:
    """Write `render_page`'s text, whole or not at all."""
    text = render_page(run, tables, figures, times, trainings)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _shown(figure: PageFigure) -> dict[str, str | bool]:
    if not Path(figure.path).is_file():
        raise InputError(f"{figure.path}: no such figure; draw it before the page")
    drawn = Path(figure.path).read_bytes()
    box = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn)
    return {
        "title": figure.title,
        "caption": caption(figure.kind),
        "source": f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode('ascii')}",
        # Panels side by side would be too small to read on a phone: there the figure scrolls.
        "broad": box is not None and float(box[1]) > 1.8 * float(box[2]),
    }
