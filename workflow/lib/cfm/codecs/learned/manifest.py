"""The manifest beside a codec's weights: how each point was trained, what it scores, and its digest.

One `manifest.json` a folder, with an entry a file; a training adds or replaces the entry of its own point.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cfm.codecs.learned.codec import LearnedCodec
from cfm.codecs.learned.training import CodecTraining
from cfm.codecs.picture import Picture
from cfm.errors import WeightsError
from cfm.progress import Progress
from cfm.provenance import atomic_path, sha256_of

LOG_ROWS = 20
NAME = "manifest.json"


@dataclass(frozen=True)
class Score:
    """Rate and quality of a point on pictures: pooled bits a pixel from stream bytes, and PSNR of the pooled MSE."""

    rate_bpp: float
    psnr_db: float
    pictures: int
    what: str


def expected_sha256(weights: Path | str) -> str | None:
    """The digest that the manifest beside a weights file states; None where there is no manifest.

    Raises
    ------
    WeightsError
        If the manifest is not one, or does not list the file.
    """
    path = Path(weights).with_name(NAME)
    if not path.is_file():
        return None
    entries = _read(path)
    name = Path(weights).name
    if name not in entries:
        raise WeightsError(f"{path}: does not list {name}; restore the manifest or remove it")
    return str(entries[name]["sha256"])


def score_codec(codec: LearnedCodec, point: int, pictures: Sequence[Picture], what: str) -> Score:
    """Code pictures at a point and compare what is decoded; `what` says which pictures they are."""
    size_bytes = pixels = samples = 0
    squared_error = 0.0
    progress = Progress(len(pictures), "pictures", f"scoring {codec.name} point {point}")
    for picture in pictures:
        stream = codec.encode(picture, point)
        decoded = codec.decode(stream)
        scale = 2**picture.bit_depth - 1
        for plane, original in zip(decoded.planes, picture.planes, strict=True):
            squared_error += float(np.sum(((plane.astype(np.float64) - original) / scale) ** 2))
            samples += original.size
        size_bytes, pixels = size_bytes + len(stream), pixels + picture.pixels
        progress.step(len(stream))
    psnr_db = 10 * np.log10(samples / max(squared_error, 1e-12))
    return Score(round(8 * size_bytes / pixels, 4), round(float(psnr_db), 2), len(pictures), what)


def add_to_manifest(
    weights: Path,
    family: str,
    architecture: dict[str, Any],
    settings: CodecTraining,
    log: Path,
    score: Score,
    training_s: float,
    origin: dict[str, Any],
) -> Path:
    """Write the entry of a weights file into the manifest beside it.

    Parameters
    ----------
    weights : Path
        Safetensors.
    family, architecture
        What the network is.
    settings : CodecTraining
        How it was trained.
    log : Path
        The training's CSV; about twenty of its rows are kept.
    score : Score
    training_s : float
        Seconds in training steps.
    origin : dict
        What else decided the result: data, initial weights, device, command.

    Returns
    -------
    Path
        The manifest.
    """
    path = weights.with_name(NAME)
    entries = _read(path) if path.is_file() else {}
    with open(log, newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    step = max(len(rows) // LOG_ROWS, 1)
    entries[weights.name] = {
        "sha256": sha256_of(weights),
        "size_bytes": weights.stat().st_size,
        "settings": asdict(settings),
        "training_s": round(training_s, 1),
        **origin,
        "score": asdict(score),
        "log": rows[step - 1 :: step],
    }
    content = {"family": family, "architecture": architecture, "models": dict(sorted(entries.items()))}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return path


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        entries = json.loads(path.read_text())["models"]
        if not all(len(entry["sha256"]) == 64 for entry in entries.values()):
            raise ValueError("a digest that is not one")
        return entries
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: not a manifest of weights ({error}); restore it or train the codec anew") from None
