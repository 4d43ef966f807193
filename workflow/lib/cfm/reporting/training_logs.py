"""Logs of the trainings of learned codecs: this run's as CSV, others' in the manifest beside the weights.

The plan looks here for what there is, so nothing heavy is imported.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cfm.errors import InputError

MANIFEST_NAME = "manifest.json"
IDENTITY = ("study", "codec", "weighting", "point", "lambda_", "weights")
LAST_SHARE = 0.1  # of the iterations: what a training ended with, because one batch says little


class Step(NamedTuple):
    """What one iteration's batch cost: R + λ·D, R in bits per pixel, and D (255²·MSE, or a feature distance)."""

    iteration: float
    loss: float
    rate_bpp: float
    distortion: float


class Training(NamedTuple):
    """How a model was trained.

    Attributes
    ----------
    study, codec, weighting : str
        What the model is of; the weighting is empty where it was not distilled.
    point : int
        Operating point.
    lambda_ : float or None
        λ of R + λ·D, where that is known.
    weights : str
        The file.
    steps : tuple of Step
        Some of the iterations, ascending; none where there is no log.
    iterations : int or None
        All of them, where that is known.
    origin, initial : str
        Who trained it on what, and what it started from, in words; empty where that is not known.
    """

    study: str
    codec: str
    weighting: str
    point: int
    lambda_: float | None
    weights: str
    steps: tuple[Step, ...] = ()
    iterations: int | None = None
    origin: str = ""
    initial: str = ""


def has_log(manifest: Path | str, name: str) -> bool:
    """Whether a manifest has rows of the log of a weights file; what is no manifest of ours has none."""
    return bool(_entry(Path(manifest), name).get("log"))


def read_training(model: Mapping[str, Any]) -> Training:
    """The training of a model.

    Parameters
    ----------
    model : mapping
        As `ReportPlan.models_of` gives it: the first fields of a `Training`, `log` and `initial`, files or empty, and
        `origin`, in words or empty.

    Raises
    ------
    InputError
        If a log is none.
    """
    log = Path(model["log"])
    plain = Training(*(model[name] for name in IDENTITY), origin=model["origin"])
    if not model["log"]:
        return plain
    if log.suffix == ".csv":
        with open(log, newline="", encoding="utf-8") as file:
            steps = _steps(log, csv.DictReader(file))
        return plain._replace(steps=steps, iterations=_last(steps), initial=_initial(model))
    entry = _entry(log, Path(model["weights"]).name)
    settings, steps = entry.get("settings", {}), _steps(log, entry.get("log", []))
    return plain._replace(
        lambda_=settings.get("lambda_", plain.lambda_),
        steps=steps,
        iterations=settings.get("iterations", _last(steps)),
        origin=plain.origin or "; ".join(str(entry[key]) for key in ("data", "command") if entry.get(key)),
        initial=_initial(entry) if "initial" in entry else "",
    )


def final(steps: Sequence[Step]) -> Step:
    """The mean over the last tenth of the iterations."""
    begin = (1 - LAST_SHARE) * steps[-1].iteration
    return mean([step for step in steps if step.iteration > begin])


def mean(steps: Sequence[Step]) -> Step:
    """The mean of some steps."""
    return Step(*(math.fsum(values) / len(steps) for values in zip(*steps, strict=True)))


def psnr_db(distortion: float) -> float:
    """PSNR of a distortion 255²·MSE, of samples in [0, 1]."""
    return 10 * math.log10(255**2 / max(distortion, 1e-9))


def _entry(manifest: Path, name: str) -> dict[str, Any]:
    try:
        entry = json.loads(manifest.read_text(encoding="utf-8"))["models"][name]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _steps(path: Path, rows: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    try:
        return tuple(Step(*(float(row[name]) for name in Step._fields)) for row in rows)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the log of a training ({error!r}); restore it or train again") from None


def _last(steps: Sequence[Step]) -> int | None:
    return int(steps[-1].iteration) if steps else None


def _initial(named: Mapping[str, Any]) -> str:
    return "/".join(Path(named["initial"]).parts[-2:]) if named["initial"] else "random weights"
