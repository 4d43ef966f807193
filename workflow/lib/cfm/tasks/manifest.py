"""The manifest beside a weights file: what it is, how it was trained, what it scores, and its digest."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from cfm.errors import WeightsError
from cfm.provenance import atomic_path, sha256_of
from cfm.tasks.training import TaskTraining

LOG_ROWS = 20


def manifest_path(weights: Path | str) -> Path:
    """Where the manifest of a weights file lies: beside it, with the suffix .json."""
    return Path(weights).with_suffix(".json")


def expected_sha256(weights: Path | str) -> str | None:
    """The digest in the manifest of a weights file, None where there is no manifest.

    Raises
    ------
    WeightsError
        The manifest is not one.
    """
    path = manifest_path(weights)
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text())["sha256"])
    except (ValueError, KeyError, TypeError):
        raise WeightsError(f"{path}: not a manifest with a sha256; restore it or train the network again") from None


def write_manifest(
    weights: Path | str,
    task: str,
    settings: TaskTraining,
    training_s: float,
    device: str,
    log: Path | str,
    score: dict[str, Any],
    command: str,
) -> Path:
    """Write the manifest of a weights file beside it.

    Parameters
    ----------
    weights : path
        Safetensors.
    task : str
        Its task.
    settings : TaskTraining
        How it was trained.
    training_s : float
        Seconds in training steps.
    device : str
        What it was trained on.
    log : path
        The CSV of the training's losses; about twenty of its rows are kept.
    score : dict
        Metrics by name, with the number of pictures and their split.
    command : str
        The command that does it again.

    Returns
    -------
    path
        The manifest.
    """
    with safe_open(str(weights), "pt") as file:
        parameters = sum(file.get_tensor(key).numel() for key in sorted(file.keys()))
    with open(log, newline="") as file:
        rows = [{key: float(f"{float(value):.4g}") for key, value in row.items()} for row in csv.DictReader(file)]
    step = max(len(rows) // LOG_ROWS, 1)
    content = {
        "task": task,
        "sha256": sha256_of(weights),
        "bytes": Path(weights).stat().st_size,
        "parameters": parameters,
        "configuration": dataclasses.asdict(settings),
        "seed": settings.seed,
        "iterations": settings.iterations,
        "training_s": round(training_s, 1),
        "device": device,
        "log": rows[step - 1 :: step],
        "score": score,
        "command": command,
    }
    path = manifest_path(weights)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return path
